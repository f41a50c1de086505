#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ecseq/relation/entity_key.hpp"
#include "ecseq/serving/request.hpp"

namespace ecseq::serving {

/// An event that waits for its label.
struct PendingEvent {
  double time = 0;
  std::vector<std::uint64_t> words;  ///< of each relation the number of its keys, then the keys
  std::vector<float> base;           ///< in label units
};

/// Events by id, in the order in which they came; a full list forgets the oldest. One thread.
class PendingEvents {
 public:
  /// Memory for all of them is laid out at once, so that no event waits for a rehash.
  explicit PendingEvents(std::size_t most) : most_(most) { events_.reserve(most); }

  std::size_t size() const { return events_.size(); }
  std::uint64_t forgotten() const { return forgotten_; }
  void set_forgotten(std::uint64_t count) { forgotten_ = count; }
  bool contains(std::uint64_t id) const { return events_.count(id) > 0; }

  /// id: not contained.
  void add(std::uint64_t id, PendingEvent event) {
    if (most_ == 0) {
      ++forgotten_;
      return;
    }
    while (events_.size() >= most_) {
      forgotten_ += drop(order_.front());
      order_.pop_front();
    }
    order_.emplace_back(id, ++number_);
    events_.emplace(id, Entry{number_, std::move(event)});
  }

  std::optional<PendingEvent> take(std::uint64_t id) {
    const auto at = events_.find(id);
    if (at == events_.end()) return {};
    PendingEvent out = std::move(at->second.event);
    events_.erase(at);
    // Places of events that are gone are cleared away when they are half of all.
    if (order_.size() > 2 * events_.size() + 64) {
      std::erase_if(order_, [&](const Place& place) { return !stands(place); });
    }
    return out;
  }

  /// Oldest first. use(id, event)
  template <class Use>
  void for_each(Use use) const {
    for (const Place& place : order_) {
      if (stands(place)) use(place.first, events_.at(place.first).event);
    }
  }

 private:
  struct Entry {
    std::uint64_t number;
    PendingEvent event;
  };
  using Place = std::pair<std::uint64_t, std::uint64_t>;  // id, number

  bool stands(const Place& place) const {
    const auto at = events_.find(place.first);
    return at != events_.end() && at->second.number == place.second;
  }
  bool drop(const Place& place) {
    if (!stands(place)) return false;
    events_.erase(place.first);
    return true;
  }

  std::size_t most_;
  std::unordered_map<std::uint64_t, Entry> events_;
  std::deque<Place> order_;   ///< may name events that are gone
  std::uint64_t number_ = 0;  ///< of the latest event: an id may come again
  std::uint64_t forgotten_ = 0;
};

}  // namespace ecseq::serving
