#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include "ecseq/core/table_hint.hpp"
#include "pending_events.hpp"

namespace ecseq::serving {

/// The events that wait for their labels, for any number of threads, and with them the changes
/// under way: each begins with an event that is added, or taken for its label, and goes on without
/// the lock. Whoever holds it and waits for those that have begun sees everything at rest, and a
/// busy service cannot keep them waiting for ever.
class WaitingEvents {
 public:
  explicit WaitingEvents(std::size_t most) : events_(most) { place_.show(events_.place()); }

  /// Adds the event, then goes on with what else it changes. False, without effect, where an event
  /// of that id waits already.
  template <class Go>
  bool add(std::uint64_t id, PendingEvent event, Go go) {
    std::unique_lock lock(mutex_);
    if (!events_.add(id, std::move(event))) return false;
    const Change change(*this);
    lock.unlock();
    go();
    return true;
  }
  /// Takes the event and goes on with it: go(event). False, without effect, where none waits.
  template <class Go>
  bool take(std::uint64_t id, Go go) {
    std::unique_lock lock(mutex_);
    const std::optional<PendingEvent> event = events_.take(id);
    if (!event) return false;
    const Change change(*this);
    lock.unlock();
    go(*event);
    return true;
  }

  /// look(events), while no change is under way and none begins.
  template <class Look>
  void at_rest(Look look) {
    const std::lock_guard lock(mutex_);
    while (ended_.load(std::memory_order_acquire) != begun_) std::this_thread::yield();
    look(events_);
  }
  /// look(events), of which changes may be under way.
  template <class Look>
  auto with(Look look) const {
    const std::lock_guard lock(mutex_);
    return look(events_);
  }
  /// No effect but on caches: of where `add` or `take` will look for the id.
  void prefetch(std::uint64_t id) const { PendingEvents::prefetch(place_, id); }

 private:
  /// Begins under the lock.
  class Change {
   public:
    explicit Change(WaitingEvents& of) : of_(of) {
      of_.place_.show(of_.events_.place());
      ++of_.begun_;
    }
    Change(const Change&) = delete;
    ~Change() { of_.ended_.fetch_add(1, std::memory_order_release); }

   private:
    WaitingEvents& of_;
  };

  mutable std::mutex mutex_;
  PendingEvents events_;
  TableHint place_;
  std::uint64_t begun_ = 0;  ///< changes so far
  std::atomic<std::uint64_t> ended_{0};
};

}  // namespace ecseq::serving
