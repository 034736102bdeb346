/* A simulated PMU for real programs: a TCG plugin for QEMU user mode (plugin API 1: QEMU 7 and 8).
 *
 * Every instruction and memory access of the program passes through models of caches, TLBs and branch predictors;
 * every event of EVENTS is counted all the time, and after each interval of model cycles one CSV row says by how much.
 *
 *   qemu-x86_64 -plugin ./libcounting.so,out=trace.csv,interval=1000000 program arguments...
 *
 * Arguments: out=FILE; interval=CYCLES (1000000); maxrows=N (stop writing after N rows); stat=FILE (a line of totals).
 *
 * Not modelled: the kernel, speculation, overlap of stalls (they add up), more than one thread (the counts of threads
 * would be mixed). Only the process that QEMU starts is counted, not those it starts.
 */
#include "qemu_api.h"
#include "machine.h"
#include "branches.h"

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

static const instruction *previous;
static uint64_t fetched_line = NO_LINE;

static void on_instruction(unsigned cpu, void *data) {
  const instruction *now = data;
  (void)cpu;
  if (previous && previous->branch) finish_branch(previous, now->address);
  previous = now;
  events[INST]++;
  spend(1, SL_RETIRING);
  uint64_t line = now->address >> line_bits;
  if (line != fetched_line) {
    fetched_line = line;
    events[L1I_REF]++;
    translate(now->address, FETCH);
    if (!look_up(&l1i, line, false)) {
      bool unused;
      events[L1I_MISS]++;
      stall(access_l2(line, CODE), true);
      insert(&l1i, line, false, &unused);
    }
  }
  if (slots >= next_row && rows < max_rows) {
    write_row();
    while (next_row <= slots) next_row += interval * SLOTS_PER_CYCLE;
  }
}

static void on_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  bool store = qemu_plugin_mem_is_store(info);
  uint64_t line = address >> line_bits;
  (void)cpu;
  (void)data;
  events[store ? STORES : LOADS]++;
  translate(address, store ? STORE : LOAD);
  if (look_up(&l1d, line, store)) {
    events[store ? L1D_ST_HIT : L1D_LD_HIT]++;
    return;
  }
  events[store ? L1D_ST_MISS : L1D_LD_MISS]++;
  enum level served = access_l2(line, store ? STORE_MISS : DEMAND_READ);
  if (!store) { /* stores wait in a buffer */
    events[served == IN_L2 ? LD_L2_HIT : served == IN_L3 ? LD_L3_HIT : LD_L3_MISS]++;
    stall(served, false);
  }
  fill_l1d(line, store);
  prefetch(line);
}

static void on_syscall(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                       uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  events[SYSCALLS]++;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn *translated = qemu_plugin_tb_get_insn(block, i);
    instruction *mine = malloc(sizeof *mine); /* lives as long as the translation may be run: to the end */
    if (!mine) abort();
    mine->address = qemu_plugin_insn_vaddr(translated);
    mine->size = qemu_plugin_insn_size(translated);
    mine->branch = is_ppc ? ppc_branch(qemu_plugin_insn_data(translated))
                          : x86_branch(qemu_plugin_insn_data(translated), mine->size);
    qemu_plugin_register_vcpu_insn_exec_cb(translated, on_instruction, NO_REGISTERS, mine);
    qemu_plugin_register_vcpu_mem_cb(translated, on_memory, NO_REGISTERS, READS_AND_WRITES, NULL);
  }
}

static void on_exit_of_program(qemu_plugin_id_t id, void *data) {
  (void)id;
  (void)data;
  if (getpid() != counted) return;
  fclose(out);
  FILE *totals = totals_file ? fopen(totals_file, "w") : NULL;
  if (!totals) return;
  fprintf(totals, "rows=%llu instructions=%llu slots=%llu\n", (unsigned long long)rows,
          (unsigned long long)events[INST], (unsigned long long)slots);
  fclose(totals);
}

static const char *value_of(const char *argument, const char *name) {
  size_t length = strlen(name);
  return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
  const char *file = "trace.csv", *value;
  is_ppc = strncmp(info->target_name, "ppc", 3) == 0;
  for (int i = 0; i < argc; i++) {
    if ((value = value_of(argv[i], "out"))) file = value;
    else if ((value = value_of(argv[i], "interval"))) interval = strtoull(value, NULL, 10);
    else if ((value = value_of(argv[i], "maxrows"))) max_rows = strtoull(value, NULL, 10);
    else if ((value = value_of(argv[i], "stat"))) totals_file = strdup(value);
    else {
      fprintf(stderr, "counting plugin: unknown argument %s; allowed: out=, interval=, maxrows=, stat=\n", argv[i]);
      return 1;
    }
  }
  if (!interval || !(out = fopen(file, "w"))) {
    fprintf(stderr, "counting plugin: interval=0, or %s cannot be written\n", file);
    return 1;
  }
  counted = getpid();
  setvbuf(out, NULL, _IOLBF, 1 << 14); /* whole lines: nothing waits in the buffer when the program forks */
  for (int i = 0; i < EVENT_COUNT; i++) fprintf(out, "%s%s", i ? "," : "", event_names[i]);
  fputc('\n', out);
  if (is_ppc) { /* like POWER9: 32K L1s, 512K L2, 10M L3 of 128-byte lines; 64K pages */
    line_bits = 7;
    page_bits = 16;
    make_cache(&l1i, 32, 8);
    make_cache(&l1d, 32, 8);
    make_cache(&l2, 512, 8);
    make_cache(&l3, 4096, 20);
    make_cache(&dtlb, 8, 8);
    make_cache(&itlb, 8, 8);
    make_cache(&stlb, 256, 4);
  } else { /* like Skylake-SP: 32K L1s, 1M L2, a 2.75M slice of L3 of 64-byte lines; 4K pages */
    make_cache(&l1i, 64, 8);
    make_cache(&l1d, 64, 8);
    make_cache(&l2, 1024, 16);
    make_cache(&l3, 2048, 22);
    make_cache(&dtlb, 16, 4);
    make_cache(&itlb, 16, 8);
    make_cache(&stlb, 128, 12);
  }
  next_row = interval * SLOTS_PER_CYCLE;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
  return 0;
}
