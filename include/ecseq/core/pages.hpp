#pragma once

#include <cstddef>
#include <memory>

namespace ecseq {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// In which pages the system is asked for memory, where there is enough for a huge one.
enum class PageSize {
  /// One entry of the processor's page cache then stands for 2 MB, and what is read at random costs
  /// one miss and not a second one for its address.
  kHuge,
  /// Cleared 4 KB at a time as they are touched: whoever touches the first of them does not wait
  /// for 2 MB to be cleared.
  kSmall,
};

/// Zeroed memory straight from the system, which costs nothing until it is touched. From kHugePage
/// bytes on it begins at a multiple of kHugePage and asks for the size of page that is wanted;
/// the system may give another.
class Pages {
 public:
  Pages() = default;
  /// Throws std::bad_alloc.
  explicit Pages(std::size_t bytes, PageSize size = PageSize::kHuge);

  std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return memory_.get_deleter().bytes; }

 private:
  struct Unmap {
    std::size_t bytes;  ///< 0 in pages that are none: std::unique_ptr sees to it
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Unmap> memory_;
};

}  // namespace ecseq
