#include "user_table.hpp"

#include <cstring>
#include <new>
#include <utility>

#include "ecseq/core/close_gap.hpp"

namespace ecseq::serving {

void UserTable::reserve_one() {
  const std::span<const Entry> old = entries();
  if (used_ + 1 <= old.size() / 4 * 3) return;
  if (bits_ == 32) throw std::bad_alloc();
  const Pages previous = std::exchange(pages_, Pages(2 * old.size_bytes()));
  ++bits_;
  used_ = 0;
  for (const Entry& entry : old) {
    if (entry.place != 0) insert(entry.tag, entry.place);
  }
}

void UserTable::reserve(std::size_t count) {
  while (count > entries().size() / 4 * 3) {
    if (bits_ == 32) throw std::bad_alloc();
    pages_ = Pages(2 * entries().size_bytes());
    ++bits_;
  }
  std::memset(pages_.data(), 0, pages_.size());
}

void UserTable::insert(std::uint32_t tag, Place place) noexcept {
  const std::span<Entry> all = entries();
  std::size_t i = home(tag);
  while (all[i].place != 0) i = next(i);
  all[i] = {tag, place};
  ++used_;
}

void UserTable::erase(std::uint32_t tag, Place place) noexcept {
  const std::span<Entry> all = entries();
  std::size_t hole = home(tag);
  while (all[hole].place != place) hole = next(hole);
  close_gap(
      all, hole, [](const Entry& entry) { return entry.place == 0; },
      [this](const Entry& entry) { return home(entry.tag); });
  --used_;
}

}  // namespace ecseq::serving
