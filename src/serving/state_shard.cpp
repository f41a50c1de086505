#include "state_shard.hpp"

#include <algorithm>

namespace ecseq::serving {

Place StateShard::find(std::uint64_t hash, std::uint64_t user) const {
  return table_.find(static_cast<std::uint32_t>(hash), [&](Place place) {
    slabs_.prefetch(place);
    return slabs_.owner(place).user == user;
  });
}

void StateShard::touch(Place place) noexcept {
  if (slabs_.owner(place).newer == 0) return;
  remove(place);
  append(place);
}

void StateShard::reserve(std::size_t users) {
  table_.reserve(users);
  place_.show(table_.place());
  std::vector<Place> places(users);
  for (Place& place : places) place = take();
  // What is given back first is taken last: the first users lie side by side.
  for (std::size_t i = users; i-- > 0;) give_back(places[i]);
}

Place StateShard::take() {
  table_.reserve_one();
  place_.show(table_.place());
  const Place place = slabs_.take();
  std::ranges::fill(slabs_.block(place), std::byte{0});
  return place;
}

void StateShard::admit(std::uint64_t hash, std::uint64_t user, Place place) noexcept {
  slabs_.owner(place).user = user;
  append(place);
  set_met(place);
  table_.insert(static_cast<std::uint32_t>(hash), place);
  if (max_users_ == 0 || size() < max_users_) {
    size_.store(size() + 1, std::memory_order_relaxed);
    return;
  }
  const Place oldest = slabs_.owner(0).newer;
  remove(oldest);
  table_.erase(static_cast<std::uint32_t>(hash_of(slabs_.owner(oldest).user)), oldest);
  slabs_.give_back(oldest);
  evicted_.store(evicted() + 1, std::memory_order_relaxed);
}

void StateShard::erase(std::uint64_t hash, Place place) noexcept {
  remove(place);
  table_.erase(static_cast<std::uint32_t>(hash), place);
  slabs_.give_back(place);
  size_.store(size() - 1, std::memory_order_relaxed);
}

void StateShard::append(Place place) noexcept {
  BlockOwner& end = slabs_.owner(0);
  BlockOwner& owner = slabs_.owner(place);
  owner.newer = 0;
  owner.older = end.older;
  slabs_.owner(end.older).newer = place;
  end.older = place;
}

/// Only writes to the neighbours, which are seldom in a cache: nobody waits for them.
void StateShard::remove(Place place) noexcept {
  const BlockOwner& owner = slabs_.owner(place);
  if (walker_ == place) walker_ = owner.newer;
  slabs_.owner(owner.newer).older = owner.older;
  slabs_.owner(owner.older).newer = owner.newer;
}

void StateShard::start_walk() {
  met_.assign(slabs_.end(), false);
  walker_ = slabs_.owner(0).newer;
}

void StateShard::walk(std::size_t users, std::vector<std::byte>& records) {
  for (std::size_t left = users; left > 0 && walker_ != 0;) {
    const BlockOwner& owner = slabs_.owner(walker_);
    if (!met(walker_)) {
      const auto id = std::as_bytes(std::span(&owner.user, 1));
      const auto block = slabs_.block(walker_);
      records.insert(records.end(), id.begin(), id.end());
      records.insert(records.end(), block.begin(), block.end());
      set_met(walker_);
      --left;
    }
    walker_ = owner.newer;
  }
  if (walker_ == 0) met_ = {};
}

}  // namespace ecseq::serving
