// How this process keeps the memory of tensors that were freed.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>

#if defined(__GLIBC__)
#include <malloc.h>
#include <sys/mman.h>
#endif

#include "support.h"

#if defined(__GLIBC__)
namespace {
/// Memory by malloc, aligned by hand. libtorch's own asks for aligned memory, for which glibc wants room to move in:
/// the hole that a tensor leaves is then too small for the next one of its size, and the heap grows over holes.
class ReusingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (size == 0) return {nullptr, cpu};
    TORCH_CHECK(size <= std::numeric_limits<size_t>::max() - c10::gAlignment, size, " bytes for a tensor");
    void *whole = std::malloc(size + c10::gAlignment);
    TORCH_CHECK_WITH(OutOfMemoryError, whole, "there is no memory for a tensor of ", size, " bytes");
    // Behind `whole` by at least the alignment of malloc, which is room for a pointer.
    take_huge_pages(reinterpret_cast<uintptr_t>(whole), size);
    void *aligned =
        reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(whole) / c10::gAlignment + 1) * c10::gAlignment);
    start(aligned) = whole;
    return {aligned, aligned, &give_back, cpu};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void *to, const void *from, size_t count) const override { default_copy_data(to, from, count); }

 private:
  /// Asks for the huge pages in so much memory, where it is new: the heap grows upwards and stays. Activations are gone
  /// through from end to end, and small pages miss the processor's table of them all the time.
  static void take_huge_pages(uintptr_t address, size_t size) {
    constexpr uintptr_t huge = 2 << 20;
    static std::atomic<uintptr_t> asked{0};
    const uintptr_t begin = std::max(address / huge * huge, asked.load());
    const uintptr_t end = (address + size) / huge * huge + huge;
    if (begin + huge >= end) return;
    // Where the kernel has none, small ones do.
    (void)madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
    asked = end - huge;
  }

  static void *&start(void *aligned) { return static_cast<void **>(aligned)[-1]; }
  static void give_back(void *aligned) {
    if (aligned) std::free(start(aligned));
  }
};
}  // namespace
#endif

bool ctorch_keep_freed_memory(void) {
#if defined(__GLIBC__)
  static ReusingAllocator allocator;
  c10::SetCPUAllocator(&allocator, std::numeric_limits<uint8_t>::max());
  // Activations are megabytes each and come and go every step. By default glibc maps each afresh and the
  // kernel clears every page again.
  const int keep = 1 << 30;
  // The heap grows by as much at least: a huge page must be there whole when it is first touched.
  const int growth = 16 << 20;
  // Before glibc 2.35 no more than 32 MiB could be asked for.
  const bool maps = mallopt(M_MMAP_THRESHOLD, keep) == 1 || mallopt(M_MMAP_THRESHOLD, 32 << 20) == 1;
  const bool trims = mallopt(M_TRIM_THRESHOLD, keep) == 1, grows = mallopt(M_TOP_PAD, growth) == 1;
  return maps && trims && grows;
#else
  return false;
#endif
}
