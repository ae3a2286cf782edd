// A GPU for ResLens's kernels, emulated on the processor: every thread of a block by itself, one after the other, up to
// where it waits for others. What it says is whether the kernels are right, not how fast they are.
#ifndef DEVICE_EMULATOR_H
#define DEVICE_EMULATOR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Offers the kernel set "emulated".
void device_emulator_install(void);

/// In which order threads run between two points where they wait for each other, and in which order blocks run. Where
/// results depend on it, one thread reads what another writes without waiting for it.
void device_emulator_run_backwards(bool backwards);

/// Faults of a GPU that tests must notice.
typedef enum {
  DEVICE_EMULATOR_SOUND,
  /// Products of matrices come out a tenth too large.
  DEVICE_EMULATOR_PRODUCTS,
  /// A lane that asks another lane for a value is given its own value.
  DEVICE_EMULATOR_SHUFFLES,
  /// The last block of a launch does not run.
  DEVICE_EMULATOR_BLOCKS,
  /// No block finds itself the last of those that count themselves.
  DEVICE_EMULATOR_COUNTERS,
} device_emulator_fault;
void device_emulator_set_fault(device_emulator_fault fault);

/// How often a kernel has been launched; if it is null, how often all of them have.
long device_emulator_launches(const char *kernel);

#ifdef __cplusplus
}
#endif
#endif
