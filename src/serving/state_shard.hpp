#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "block_slabs.hpp"
#include "user_table.hpp"

namespace ecseq::serving {

/// Spreads ids over all 64 bits: the finaliser of MurmurHash3 (Appleby). The shard is chosen by
/// the high bits, the tag of the table is the low 32.
inline std::uint64_t hash_of(std::uint64_t user) {
  user = (user ^ (user >> 33)) * 0xff51afd7ed558ccdULL;
  user = (user ^ (user >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return user ^ (user >> 33);
}

/// The users of a StateStore that share a lock. Whoever calls holds `mutex`, but for `size`,
/// `evicted` and `prefetch_index`.
class alignas(2 * kCacheLine) StateShard {
 public:
  /// max_users: 0 for no bound
  StateShard(std::size_t block_size, std::size_t max_users)
      : slabs_(block_size), max_users_(max_users) {
    place_.show(table_.place());
  }

  std::mutex mutex;

  std::span<std::byte> block(Place place) const { return slabs_.block(place); }
  /// 0: the user is not there. On the way the block is on its way into the caches.
  Place find(std::uint64_t hash, std::uint64_t user) const;

  /// No effect but on caches: of the entry by which `find` begins.
  void prefetch_index(std::uint64_t hash) const {
    UserTable::prefetch(place_, static_cast<std::uint32_t>(hash));
  }

  /// Makes a user the one used last.
  void touch(Place place) noexcept;

  /// Takes and touches the memory of so many users. Throws std::bad_alloc.
  void reserve(std::size_t users);

  /// A fresh user comes in two steps, so that one whose first use fails was never there: a block of
  /// zeros with all the memory that the second step needs (throws std::bad_alloc); then either its
  /// user, who may send the one longest unused away, or back.
  Place take();
  void admit(std::uint64_t hash, std::uint64_t user, Place place) noexcept;
  void give_back(Place place) noexcept { slabs_.give_back(place); }

  void erase(std::uint64_t hash, Place place) noexcept;

  std::uint64_t size() const { return size_.load(std::memory_order_relaxed); }
  std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
  std::size_t bytes() const { return slabs_.bytes() + table_.bytes(); }

  /// Walks over the users who are there now, the one longest unused first, and goes on while users
  /// are used, come and go. Each is met once: a use moves a user not yet met to the end, where the
  /// walk comes to it later. Ends the walk before, if that is not over. Throws std::bad_alloc.
  void start_walk();
  /// Appends the next `users` users, id and block, to `records`: fewer, at last none, at the end.
  void walk(std::size_t users, std::vector<std::byte>& records);

 private:
  void append(Place place) noexcept;
  void remove(Place place) noexcept;
  void set_met(Place place) noexcept {
    if (place < met_.size()) met_[place] = true;
  }
  bool met(Place place) const { return place >= met_.size() || met_[place]; }

  UserTable table_;
  TableHint place_;  ///< of the table
  BlockSlabs slabs_;
  std::size_t max_users_;
  Place walker_ = 0;       ///< next of the walk; 0: at the end
  std::vector<bool> met_;  ///< [place] when the walk began; whoever has come since counts as met
  std::atomic<std::uint64_t> size_{0};
  std::atomic<std::uint64_t> evicted_{0};
};

}  // namespace ecseq::serving
