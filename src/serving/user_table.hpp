#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "block_slabs.hpp"
#include "ecseq/core/paged_array.hpp"
#include "ecseq/core/table_hint.hpp"

namespace ecseq::serving {

/// From the low 32 bits of a user's hash, the tag, to the user's place. Two users may share a tag:
/// the caller decides by the place whether it is the right one.
///
/// Open addressing with linear probing, at most three quarters full. The home of a tag is given by
/// its highest bits, so that doubling the table reads and writes memory in order and needs no user.
class UserTable {
 public:
  /// The place for which is_user(place) holds, among those with this tag; 0 if there is none.
  template <class IsUser>
  Place find(std::uint32_t tag, IsUser is_user) const {
    for (std::size_t i = home(tag); entries_[i].place != 0; i = next(i)) {
      if (entries_[i].tag == tag && is_user(entries_[i].place)) return entries_[i].place;
    }
    return 0;
  }
  /// For `prefetch`: it moves where the table is made larger.
  TablePlace place() const { return {entries_.data(), 64 - bits_}; }
  /// No effect but on caches.
  static void prefetch(const TableHint& hint, std::uint32_t tag) {
    hint.fetch_home<sizeof(Entry)>(std::uint64_t{tag} << 32);
  }
  /// Makes sure that one more fits. Throws std::bad_alloc, with nothing changed.
  void reserve_one();
  /// Room for so many, all of it touched. Only of an empty table. Throws std::bad_alloc.
  void reserve(std::size_t count);
  void insert(std::uint32_t tag, Place place) noexcept;
  /// It must be there.
  void erase(std::uint32_t tag, Place place) noexcept;

  std::size_t bytes() const { return entries_.size() * sizeof(Entry); }

 private:
  struct Entry {
    std::uint32_t tag;
    Place place;  ///< 0: empty
  };
  static constexpr std::size_t kFirst = 512;  ///< entries of a new table: one page

  std::size_t home(std::uint32_t tag) const { return tag >> (32 - bits_); }
  std::size_t next(std::size_t i) const { return (i + 1) & (entries_.size() - 1); }

  PagedArray<Entry> entries_{kFirst};  ///< 2^bits_
  int bits_ = std::countr_zero(kFirst);
  std::size_t used_ = 0;
};

}  // namespace ecseq::serving
