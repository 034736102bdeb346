/* The simulated machine: events, clock, caches, TLBs, prefetcher. State is global: one thread, one process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Events, in the order of the CSV columns. data/catalogue.toml says what each one means. ---- */

#define EVENTS \
  X(SLOTS) X(INST) X(LOADS) X(STORES) \
  X(BR_ALL) X(BR_COND) X(BR_CALL) X(BR_RET) X(BR_IND) X(BR_UNCOND) X(BR_TAKEN) X(BR_NTAKEN) \
  X(BR_MISP) X(BR_MISP_COND) X(BR_MISP_IND) X(BR_MISP_RET) \
  X(L1I_REF) X(L1I_MISS) X(L1D_LD_HIT) X(L1D_LD_MISS) X(L1D_ST_HIT) X(L1D_ST_MISS) X(L1D_REPL) X(L1D_WB) \
  X(L2_REF) X(L2_MISS) X(L2_CODE_HIT) X(L2_CODE_MISS) X(L2_DRD_HIT) X(L2_DRD_MISS) X(L2_RFO_HIT) X(L2_RFO_MISS) \
  X(L2_PF_HIT) X(L2_PF_MISS) X(L2_LINES_IN) X(L2_OUT_DIRTY) X(L2_OUT_CLEAN) \
  X(LLC_REF) X(LLC_MISS) X(LD_L2_HIT) X(LD_L3_HIT) X(LD_L3_MISS) X(LLC_WB) X(MEM_RD) X(MEM_WR) \
  X(DTLB_LD_MISS) X(DTLB_ST_MISS) X(STLB_HIT) X(DTLB_WALK) X(ITLB_MISS) X(ITLB_WALK) \
  X(SL_RETIRING) X(SL_FRONTEND) X(SL_BADSPEC) X(SL_L2) X(SL_L3) X(SL_DRAM) X(SL_TLB) X(SYSCALLS)
enum {
#define X(name) name,
  EVENTS
#undef X
  EVENT_COUNT
};
static const char *const event_names[] = {
#define X(name) #name,
  EVENTS
#undef X
};
static uint64_t events[EVENT_COUNT], written[EVENT_COUNT];

/* ---- The model's clock: slots, four to a cycle. An instruction takes one; what it waits for is added. ---- */

enum { SLOTS_PER_CYCLE = 4 };
enum { MISPREDICTION = 14 * SLOTS_PER_CYCLE, STLB_LATENCY = 7 * SLOTS_PER_CYCLE, PAGE_WALK = 25 * SLOTS_PER_CYCLE };
enum { STALL_L2 = 6 * SLOTS_PER_CYCLE, STALL_L3 = 24 * SLOTS_PER_CYCLE, STALL_DRAM = 110 * SLOTS_PER_CYCLE };
static uint64_t slots, next_row, interval = 1000000, rows, max_rows = UINT64_C(1) << 30;
static FILE *out;
static const char *totals_file;
static bool is_ppc;
static pid_t counted; /* a child that the program forks has its own copy of all this, and must not write */

static void spend(uint64_t lost, int cause) {
  slots += lost;
  events[cause] += lost;
}

static void write_row(void) {
  if (getpid() != counted) return;
  events[SLOTS] = slots;
  for (int i = 0; i < EVENT_COUNT; i++) {
    fprintf(out, "%s%llu", i ? "," : "", (unsigned long long)(events[i] - written[i]));
    written[i] = events[i];
  }
  fputc('\n', out);
  rows++;
}

/* ---- Caches and TLBs: set associative, least recently used, written back. ---- */

#define NO_LINE UINT64_MAX
typedef struct {
  int sets, ways;
  uint64_t *line, *used, clock;
  uint8_t *dirty;
} cache;
static cache l1i, l1d, l2, l3, dtlb, itlb, stlb;
static int line_bits = 6, page_bits = 12;

static void make_cache(cache *c, int sets, int ways) {
  size_t places = (size_t)sets * ways;
  c->sets = sets;
  c->ways = ways;
  c->line = malloc(places * sizeof *c->line);
  c->used = calloc(places, sizeof *c->used);
  c->dirty = calloc(places, 1);
  if (!c->line || !c->used || !c->dirty) abort();
  memset(c->line, 0xff, places * sizeof *c->line); /* NO_LINE everywhere */
}

static inline bool look_up(cache *c, uint64_t line, bool write) {
  size_t first = (line & (c->sets - 1)) * c->ways;
  for (size_t i = first; i < first + c->ways; i++)
    if (c->line[i] == line) {
      c->used[i] = ++c->clock;
      c->dirty[i] |= write;
      return true;
    }
  return false;
}

/* Puts a line in and returns the one it drives out (NO_LINE: the place was empty). */
static inline uint64_t insert(cache *c, uint64_t line, bool write, bool *was_dirty) {
  size_t first = (line & (c->sets - 1)) * c->ways, place = first;
  for (size_t i = first; i < first + c->ways; i++) {
    if (c->line[i] == NO_LINE) {
      place = i;
      break;
    }
    if (c->used[i] < c->used[place]) place = i;
  }
  uint64_t victim = c->line[place];
  *was_dirty = victim != NO_LINE && c->dirty[place];
  c->line[place] = line;
  c->dirty[place] = write;
  c->used[place] = ++c->clock;
  return victim;
}

/* ---- The hierarchy. Lines driven out dirty are written to the level below, and brought in there if it lost them. ---- */

enum level { IN_L2 = 2, IN_L3 = 3, IN_DRAM = 4 };
enum kind { CODE, DEMAND_READ, STORE_MISS, PREFETCH };

static void fill_l3(uint64_t line, bool dirty) {
  bool was_dirty;
  insert(&l3, line, dirty, &was_dirty);
  if (was_dirty) {
    events[LLC_WB]++;
    events[MEM_WR]++;
  }
}

static enum level access_l3(uint64_t line) {
  events[LLC_REF]++;
  if (look_up(&l3, line, false)) return IN_L3;
  events[LLC_MISS]++;
  events[MEM_RD]++;
  fill_l3(line, false);
  return IN_DRAM;
}

static void fill_l2(uint64_t line, bool dirty) {
  bool was_dirty;
  events[L2_LINES_IN]++;
  uint64_t victim = insert(&l2, line, dirty, &was_dirty);
  if (victim == NO_LINE) return;
  events[was_dirty ? L2_OUT_DIRTY : L2_OUT_CLEAN]++;
  if (was_dirty && !look_up(&l3, victim, true)) fill_l3(victim, true);
}

static enum level access_l2(uint64_t line, enum kind kind) {
  static const int hit[] = {L2_CODE_HIT, L2_DRD_HIT, L2_RFO_HIT, L2_PF_HIT};
  static const int miss[] = {L2_CODE_MISS, L2_DRD_MISS, L2_RFO_MISS, L2_PF_MISS};
  events[L2_REF]++;
  if (look_up(&l2, line, false)) {
    events[hit[kind]]++;
    return IN_L2;
  }
  events[miss[kind]]++;
  events[L2_MISS]++;
  enum level found = access_l3(line);
  fill_l2(line, false);
  return found;
}

static void fill_l1d(uint64_t line, bool write) {
  bool was_dirty;
  events[L1D_REPL]++;
  uint64_t victim = insert(&l1d, line, write, &was_dirty);
  if (!was_dirty) return;
  events[L1D_WB]++;
  if (!look_up(&l2, victim, true)) fill_l2(victim, true);
}

/* Stream prefetcher into L2: two steps by one line in the same direction within 4 KiB fetch the line two ahead. */
static struct { uint64_t page; int last, direction; } streams[64];

static void prefetch(uint64_t line) {
  int bits = 12 - line_bits, lines = 1 << bits, offset = line & (lines - 1);
  uint64_t page = line >> bits;
  int i = page & 63;
  if (streams[i].page != page) {
    streams[i].page = page;
    streams[i].last = offset;
    streams[i].direction = 0;
    return;
  }
  int step = offset - streams[i].last;
  streams[i].last = offset;
  if (step != 1 && step != -1) {
    streams[i].direction = 0;
    return;
  }
  int target = offset + 2 * step;
  if (streams[i].direction == step && target >= 0 && target < lines) access_l2(page << bits | target, PREFETCH);
  streams[i].direction = step;
}

enum access { LOAD = 0, STORE = 1, FETCH = 2 };

static void translate(uint64_t address, enum access access) {
  static const int miss[] = {DTLB_LD_MISS, DTLB_ST_MISS, ITLB_MISS};
  uint64_t page = address >> page_bits;
  cache *first = access == FETCH ? &itlb : &dtlb;
  bool unused;
  if (look_up(first, page, false)) return;
  events[miss[access]]++;
  if (look_up(&stlb, page, false)) {
    events[STLB_HIT]++;
    spend(STLB_LATENCY, SL_TLB);
  } else {
    events[access == FETCH ? ITLB_WALK : DTLB_WALK]++;
    spend(PAGE_WALK, SL_TLB);
    insert(&stlb, page, false, &unused);
  }
  insert(first, page, false, &unused);
}

static void stall(enum level served, bool frontend) {
  static const int cause[] = {[IN_L2] = SL_L2, [IN_L3] = SL_L3, [IN_DRAM] = SL_DRAM};
  static const uint64_t latency[] = {[IN_L2] = STALL_L2, [IN_L3] = STALL_L3, [IN_DRAM] = STALL_DRAM};
  spend(latency[served], frontend ? SL_FRONTEND : cause[served]);
}
