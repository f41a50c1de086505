#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace ecseq::serving {

/// A list of numbers of which the first few need no memory of their own.
template <class T, std::size_t kInline>
class InlineList {
 public:
  InlineList() = default;
  explicit InlineList(std::span<const T> values) { append(values); }

  void append(std::span<const T> values) {
    const std::size_t before = size_;
    size_ += values.size();
    if (size_ > kInline && more_.empty()) more_.assign(here_.begin(), here_.begin() + before);
    if (size_ > kInline) {
      more_.insert(more_.end(), values.begin(), values.end());
    } else {
      std::copy(values.begin(), values.end(), here_.begin() + before);
    }
  }
  void append(T value) { append(std::span<const T>(&value, 1)); }

  std::size_t size() const { return size_; }
  const T* data() const { return size_ > kInline ? more_.data() : here_.data(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  operator std::span<const T>() const { return {data(), size_}; }  // NOLINT: a view of the same

 private:
  std::size_t size_ = 0;
  std::array<T, kInline> here_ = {};
  std::vector<T> more_;  ///< all of them, once they are more
};

}  // namespace ecseq::serving
