/* Branches: gshare for directions, a table of targets, a stack of return addresses. */

enum branch { NO_BRANCH, CONDITIONAL, CALL, RETURN, INDIRECT_JUMP, DIRECT_JUMP, INDIRECT_CALL };
typedef struct {
  uint64_t address;
  uint32_t size;
  uint8_t branch;
} instruction;
enum { DIRECTIONS = 1 << 14, TARGETS = 4096, RETURNS = 32 };
static uint8_t directions[DIRECTIONS]; /* two-bit counters */
static uint64_t targets[TARGETS], returns[RETURNS];
static unsigned return_top;
static uint32_t history;

static void mispredicted(int which) {
  events[BR_MISP]++;
  events[which]++;
  spend(MISPREDICTION, SL_BADSPEC);
}

static void check_direction(const instruction *branch, bool taken) {
  uint8_t *counter = &directions[((branch->address >> (is_ppc ? 2 : 0)) ^ history) & (DIRECTIONS - 1)];
  if ((*counter >= 2) != taken) mispredicted(BR_MISP_COND);
  if (taken && *counter < 3) ++*counter;
  if (!taken && *counter > 0) --*counter;
  history = history << 1 | taken;
}

static void check_target(const instruction *branch, uint64_t target) {
  uint64_t *predicted = &targets[branch->address & (TARGETS - 1)];
  if (*predicted != target) mispredicted(BR_MISP_IND);
  *predicted = target;
}

/* A branch is judged when the next instruction shows where it went. */
static void finish_branch(const instruction *branch, uint64_t next) {
  uint64_t following = branch->address + branch->size;
  bool taken = next != following;
  events[BR_ALL]++;
  events[taken ? BR_TAKEN : BR_NTAKEN]++;
  switch (branch->branch) {
  case CONDITIONAL:
    events[BR_COND]++;
    check_direction(branch, taken);
    break;
  case CALL:
  case INDIRECT_CALL:
    events[BR_CALL]++;
    returns[return_top++ % RETURNS] = following;
    if (branch->branch == INDIRECT_CALL) check_target(branch, next);
    break;
  case RETURN:
    events[BR_RET]++;
    if (returns[--return_top % RETURNS] != next) mispredicted(BR_MISP_RET);
    break;
  case INDIRECT_JUMP:
    events[BR_IND]++;
    check_target(branch, next);
    break;
  default:
    events[BR_UNCOND]++;
  }
}

static enum branch x86_branch(const uint8_t *code, size_t size) {
  size_t i = 0; /* prefixes: operand and address size, repeat, segment, REX */
  while (i < size && (code[i] == 0x66 || code[i] == 0x67 || code[i] == 0xf2 || code[i] == 0xf3 || code[i] == 0x2e ||
                      code[i] == 0x3e || (code[i] & 0xf0) == 0x40))
    i++;
  if (i >= size) return NO_BRANCH;
  uint8_t opcode = code[i], next = i + 1 < size ? code[i + 1] : 0;
  if ((opcode & 0xf0) == 0x70 || (opcode >= 0xe0 && opcode <= 0xe3)) return CONDITIONAL;
  if (opcode == 0x0f && (next & 0xf0) == 0x80) return CONDITIONAL;
  if (opcode == 0xe8) return CALL;
  if (opcode == 0xe9 || opcode == 0xeb) return DIRECT_JUMP;
  if (opcode == 0xc3 || opcode == 0xc2) return RETURN;
  if (opcode == 0xff && i + 1 < size) {
    int operation = next >> 3 & 7;
    if (operation == 2 || operation == 3) return INDIRECT_CALL;
    if (operation == 4 || operation == 5) return INDIRECT_JUMP;
  }
  return NO_BRANCH;
}

static enum branch ppc_branch(const uint8_t *code) {
  uint32_t word;
  memcpy(&word, code, sizeof word);
  bool link = word & 1, always = (word >> 21 & 0x14) == 0x14;
  switch (word >> 26) {
  case 18: /* b */
    return link ? CALL : DIRECT_JUMP;
  case 16: /* bc */
    return !always ? CONDITIONAL : link ? CALL : DIRECT_JUMP;
  case 19:
    switch (word >> 1 & 0x3ff) {
    case 16: /* bclr */
      return always ? RETURN : CONDITIONAL;
    case 528: /* bcctr */
    case 560: /* bctar */
      return !always ? CONDITIONAL : link ? INDIRECT_CALL : INDIRECT_JUMP;
    }
  }
  return NO_BRANCH;
}
