#include "user_table.hpp"

#include <algorithm>
#include <new>
#include <span>
#include <utility>

#include "ecseq/core/close_gap.hpp"

namespace ecseq::serving {

void UserTable::reserve_one() {
  if (used_ + 1 <= entries_.size() / 4 * 3) return;
  if (bits_ == 32) throw std::bad_alloc();
  const PagedArray<Entry> old = std::exchange(entries_, PagedArray<Entry>(2 * entries_.size()));
  ++bits_;
  used_ = 0;
  for (const Entry& entry : std::span(old.data(), old.size())) {
    if (entry.place != 0) insert(entry.tag, entry.place);
  }
}

void UserTable::reserve(std::size_t count) {
  while (count > entries_.size() / 4 * 3) {
    if (bits_ == 32) throw std::bad_alloc();
    entries_ = PagedArray<Entry>(2 * entries_.size());
    ++bits_;
  }
  std::fill_n(entries_.data(), entries_.size(), Entry{});
}

void UserTable::insert(std::uint32_t tag, Place place) noexcept {
  std::size_t i = home(tag);
  while (entries_[i].place != 0) i = next(i);
  entries_[i] = {tag, place};
  ++used_;
}

void UserTable::erase(std::uint32_t tag, Place place) noexcept {
  std::size_t hole = home(tag);
  while (entries_[hole].place != place) hole = next(hole);
  close_gap(
      std::span<Entry>(entries_), hole, [](const Entry& entry) { return entry.place == 0; },
      [this](const Entry& entry) { return home(entry.tag); });
  --used_;
}

}  // namespace ecseq::serving
