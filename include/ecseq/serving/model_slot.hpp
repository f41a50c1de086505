#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "ecseq/core/cache_line.hpp"
#include "ecseq/core/error.hpp"

namespace ecseq::serving {

/// Holds the T that is current, a model say, while readers use it and writers replace it.
///
/// Readers are wait-free: one atomic addition to pin what is current, one to let it go. They never
/// see half a replacement, never wait for a writer, and never destroy anything: what was replaced
/// lives until nobody has it pinned, and is destroyed by the next `replace` or `collect` after
/// that. A word holds the index of the current slot and how often that slot was pinned; with the
/// number of times it was let go, which the slot holds, a writer knows when it is free (the split
/// count of Williams, C++ Concurrency in Action, 7.2.4).
///
/// All pins must be gone before the ModelSlot is.
template <class T>
class ModelSlot {
 public:
  /// Versions that can be alive at a time: the current one and those that are still pinned.
  static constexpr std::size_t kSlots = 16;

  /// A T that stays as it is and alive for as long as this is. Cannot be copied: pin again.
  class Pinned {
   public:
    Pinned(Pinned&& other) noexcept
        : value_(other.value_), released_(std::exchange(other.released_, nullptr)) {}
    Pinned& operator=(Pinned&& other) noexcept {
      std::swap(value_, other.value_);
      std::swap(released_, other.released_);
      return *this;
    }
    ~Pinned() {
      if (released_ != nullptr) released_->fetch_add(1, std::memory_order_release);
    }

    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_; }

   private:
    friend class ModelSlot;
    Pinned(const T* value, std::atomic<std::uint64_t>* released)
        : value_(value), released_(released) {}

    const T* value_;
    std::atomic<std::uint64_t>* released_;  ///< null: moved from
  };

  /// Throws InvalidArgument for null.
  explicit ModelSlot(std::shared_ptr<const T> first) {
    require(first);
    slots_[0].value = std::move(first);
  }
  ModelSlot(const ModelSlot&) = delete;
  ModelSlot& operator=(const ModelSlot&) = delete;

  /// Pins what is current.
  Pinned current() const {
    const std::uint64_t word = word_.fetch_add(1, std::memory_order_acquire);
    const Slot& slot = slots_[word >> kCountBits];
    return {slot.value.get(), &slot.released};
  }

  /// What `current` returns from now on. Waits for other writers, and while kSlots - 1 versions
  /// before this one are still pinned. Throws InvalidArgument for null.
  void replace(std::shared_ptr<const T> next) {
    require(next);
    const std::lock_guard lock(writers_);
    put(std::move(next));
  }

  /// Replaces by what make() returns, a std::shared_ptr<const T>. Other writers wait for it,
  /// readers do not; if it throws, what is current stays. It may read this slot but not replace.
  template <class Make>
  void replace_with(Make&& make) {
    const std::lock_guard lock(writers_);
    std::shared_ptr<const T> next = std::forward<Make>(make)();
    require(next);
    put(std::move(next));
  }

  /// Destroys what was replaced and is not pinned; returns how many versions are still pinned
  /// beside the current one. Waits for other writers.
  std::size_t collect() {
    const std::lock_guard lock(writers_);
    return collect_locked();
  }

 private:
  /// 56 bits: at a hundred million pins a second, 22 years of one version.
  static constexpr int kCountBits = 56;
  static constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;

  struct alignas(kCacheLine) Slot {
    std::shared_ptr<const T> value;                  ///< null: free
    mutable std::atomic<std::uint64_t> released{0};  ///< times it was let go
    std::uint64_t pinned = 0;                        ///< times it was pinned, once it is replaced
  };

  static void require(const std::shared_ptr<const T>& value) {
    if (value == nullptr) throw InvalidArgument("ModelSlot: expected an object, got null");
  }
  std::size_t current_index() const {
    return static_cast<std::size_t>(word_.load(std::memory_order_relaxed) >> kCountBits);
  }

  std::size_t collect_locked() {
    std::size_t still_pinned = 0;
    for (std::size_t i = 0; i < kSlots; ++i) {
      Slot& slot = slots_[i];
      if (slot.value == nullptr || i == current_index()) continue;
      if (slot.released.load(std::memory_order_acquire) == slot.pinned) {
        slot.value.reset();
      } else {
        ++still_pinned;
      }
    }
    return still_pinned;
  }

  void put(std::shared_ptr<const T> next) {
    using std::chrono::microseconds;
    constexpr microseconds kLongestSleep{10'000};
    for (microseconds sleep{50}; collect_locked() == kSlots - 1;
         sleep = std::min(2 * sleep, kLongestSleep)) {
      std::this_thread::sleep_for(sleep);
    }
    const auto free = std::ranges::find(slots_, nullptr, &Slot::value);
    free->value = std::move(next);
    free->released.store(0, std::memory_order_relaxed);
    const auto index = static_cast<std::uint64_t>(free - slots_.begin());
    const std::uint64_t before = word_.exchange(index << kCountBits, std::memory_order_acq_rel);
    slots_[before >> kCountBits].pinned = before & kCountMask;
    collect_locked();
  }

  alignas(kCacheLine) mutable std::atomic<std::uint64_t> word_{0};
  std::array<Slot, kSlots> slots_;
  std::mutex writers_;
};

}  // namespace ecseq::serving
