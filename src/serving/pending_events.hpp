#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ecseq/core/growing_table.hpp"
#include "ecseq/core/table_hint.hpp"
#include "inline_list.hpp"

namespace ecseq::serving {

/// An event that waits for its label.
struct PendingEvent {
  double time = 0;
  InlineList<std::uint64_t, 4> words;  ///< of each relation the number of its keys, then the keys
  InlineList<float, 2> base;           ///< in label units
};

/// Events by id, in the order in which they came; a full list forgets the oldest. One thread.
///
/// Nothing takes longer for there being many: they are linked in their order, in memory that grows
/// by pieces and never moves, and a table finds them by their id.
class PendingEvents {
 public:
  /// most: at most kMost, which also stands for more.
  explicit PendingEvents(std::size_t most) : most_(std::min(most, kMost)) {
    take_place();  // kNone
  }

  std::size_t size() const { return places_by_id_.size(); }
  std::uint64_t forgotten() const { return forgotten_; }
  void set_forgotten(std::uint64_t count) { forgotten_ = count; }
  bool contains(std::uint64_t id) const { return places_by_id_.find(id) != kNone; }

  /// Of where an id is found, for `prefetch`: `add` may move it.
  TablePlace place() const { return places_by_id_.place(); }
  /// No effect but on caches.
  static void prefetch(const TableHint& hint, std::uint64_t id) { Table::prefetch(hint, id); }

  /// False, without effect, where an event of that id waits already. Throws std::bad_alloc, also
  /// without effect, but that the oldest of a full list may be gone.
  bool add(std::uint64_t id, PendingEvent event) {
    if (contains(id)) return false;
    if (most_ == 0) {
      ++forgotten_;
      return true;
    }
    if (size() == most_) {
      take(node(node(kNone).newer).id);
      ++forgotten_;
    }
    places_by_id_.reserve_one();
    const Place place = take_place();
    places_by_id_.insert(id, place);
    Node& added = node(place);
    added.id = id;
    added.event = std::move(event);
    link_as_newest(place);
    return true;
  }

  std::optional<PendingEvent> take(std::uint64_t id) {
    const Place place = places_by_id_.find(id);
    if (place == kNone) return {};
    places_by_id_.erase(id);
    Node& taken = node(place);
    node(taken.older).newer = taken.newer;
    node(taken.newer).older = taken.older;
    PendingEvent out = std::move(taken.event);
    taken.newer = std::exchange(free_, place);
    return out;
  }

  /// Oldest first. use(id, event)
  template <class Use>
  void for_each(Use use) const {
    for (Place place = node(kNone).newer; place != kNone; place = node(place).newer) {
      use(node(place).id, node(place).event);
    }
  }

 private:
  using Place = std::uint32_t;
  using Table = GrowingTable<Place>;
  struct Node {
    std::uint64_t id = 0;
    Place newer = kNone;  ///< of a free one: the next free one
    Place older = kNone;
    PendingEvent event;
  };
  static constexpr Place kNone = 0;  ///< no event's: it is before the oldest and after the newest
  static constexpr std::size_t kMost = std::size_t{1} << 31;
  static constexpr std::size_t kPiece = 256;  ///< nodes

  Node& node(Place place) { return (*pieces_[place / kPiece])[place % kPiece]; }
  const Node& node(Place place) const { return (*pieces_[place / kPiece])[place % kPiece]; }
  Place take_place() {
    if (free_ != kNone) return std::exchange(free_, node(free_).newer);
    if (used_ == pieces_.size() * kPiece) pieces_.push_back(std::make_unique<Piece>());
    return static_cast<Place>(used_++);
  }
  void link_as_newest(Place place) {
    Node& end = node(kNone);
    node(place).newer = kNone;
    node(place).older = end.older;
    node(end.older).newer = place;
    end.older = place;
  }

  using Piece = std::array<Node, kPiece>;
  std::size_t most_;
  std::vector<std::unique_ptr<Piece>> pieces_;
  std::size_t used_ = 0;  ///< places so far
  Place free_ = kNone;    ///< the first of those given back
  Table places_by_id_{PageSize::kSmall};
  std::uint64_t forgotten_ = 0;
};

}  // namespace ecseq::serving
