#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "ecseq/core/pages.hpp"

namespace ecseq {

/// An array of zeros in pages of its own (core/pages.hpp): for what is large, and written or read
/// at random. Unlike a std::vector it is not written before it is used.
template <class T>
class PagedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PagedArray() = default;
  /// Throws std::bad_alloc.
  explicit PagedArray(std::size_t size, PageSize pages = PageSize::kHuge)
      : pages_(size * sizeof(T), pages) {}

  std::size_t size() const { return pages_.size() / sizeof(T); }
  bool empty() const { return size() == 0; }
  T* data() { return reinterpret_cast<T*>(pages_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(pages_.data()); }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  operator std::span<T>() { return {data(), size()}; }
  operator std::span<const T>() const { return {data(), size()}; }

 private:
  Pages pages_;
};

}  // namespace ecseq
