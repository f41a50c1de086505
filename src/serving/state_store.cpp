#include "ecseq/serving/state_store.hpp"

#include <algorithm>
#include <string>

#include "ecseq/core/error.hpp"
#include "state_shard.hpp"

namespace ecseq::serving {
namespace {

/// Of fewer users, the share that a shard gets by chance would differ too much from the others'.
constexpr std::size_t kFewestUsersPerShard = 1024;

void require_between(const char* name, std::size_t value, std::size_t least, std::size_t most) {
  if (value >= least && value <= most) return;
  throw InvalidArgument(std::string(name) + ": expected " + std::to_string(least) + " to " +
                        std::to_string(most) + ", got " + std::to_string(value));
}

std::size_t number_of_shards(const StateStoreOptions& options) {
  const auto wanted = static_cast<std::size_t>(options.shards);
  if (options.max_users == 0) return wanted;
  return std::clamp<std::size_t>(options.max_users / kFewestUsersPerShard, 1, wanted);
}

}  // namespace

StateStore::StateStore(const StateStoreOptions& options)
    : options_(options), saving_(std::make_unique<std::mutex>()) {
  require_between("block_size", options.block_size, 1, kMaxBlockSize);
  require_between("shards", static_cast<std::size_t>(std::max(options.shards, 0)), 1, 65536);
  const std::size_t n = number_of_shards(options);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t bound = options.max_users / n + (i < options.max_users % n ? 1 : 0);
    shards_.push_back(std::make_unique<StateShard>(options.block_size, bound));
    // Users do not spread evenly: a little more than a shard's share.
    const std::size_t share = options.reserve_users / n;
    if (share > 0) shards_.back()->reserve(share + share / 64);
  }
}

StateStore::StateStore(StateStore&&) noexcept = default;
StateStore& StateStore::operator=(StateStore&&) noexcept = default;
StateStore::~StateStore() = default;

StateShard& StateStore::shard_of(std::uint64_t hash) const {
  return *shards_[static_cast<std::size_t>(
      (static_cast<unsigned __int128>(hash) * shards_.size()) >> 64)];
}

StateStore::Visit::Visit(const StateStore& store, std::uint64_t user)
    : hash_(hash_of(user)),
      user_(user),
      shard_(store.shard_of(hash_)),
      lock_(shard_.mutex),
      place_(shard_.find(hash_, user)),
      fresh_(place_ == 0),
      kept_(!fresh_) {
  if (fresh_) {
    place_ = shard_.take();
  } else {
    shard_.touch(place_);
  }
  block_ = shard_.block(place_);
}

StateStore::Visit::~Visit() {
  if (!kept_) shard_.give_back(place_);
}

void StateStore::Visit::keep() noexcept {
  if (kept_) return;
  shard_.admit(hash_, user_, place_);
  kept_ = true;
}

bool StateStore::read(std::uint64_t user, std::span<std::byte> out) const {
  if (out.size() != options_.block_size) {
    throw InvalidArgument("out: expected " + std::to_string(options_.block_size) + " bytes, got " +
                          std::to_string(out.size()));
  }
  const std::uint64_t hash = hash_of(user);
  StateShard& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  const Place place = shard.find(hash, user);
  if (place != 0) std::ranges::copy(shard.block(place), out.begin());
  return place != 0;
}

bool StateStore::erase(std::uint64_t user) {
  const std::uint64_t hash = hash_of(user);
  StateShard& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  const Place place = shard.find(hash, user);
  if (place != 0) shard.erase(hash, place);
  return place != 0;
}

void StateStore::prefetch_index(std::uint64_t user) const noexcept {
  const std::uint64_t hash = hash_of(user);
  shard_of(hash).prefetch_index(hash);
}

void StateStore::prefetch(std::uint64_t user) const noexcept {
  const std::uint64_t hash = hash_of(user);
  StateShard& shard = shard_of(hash);
  const std::unique_lock lock(shard.mutex, std::try_to_lock);
  if (lock.owns_lock()) shard.find(hash, user);
}

std::uint64_t StateStore::size() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& shard : shards_) sum += shard->size();
  return sum;
}

std::uint64_t StateStore::evicted() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& shard : shards_) sum += shard->evicted();
  return sum;
}

std::size_t StateStore::bytes() const {
  std::size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->bytes();
  }
  return sum;
}

}  // namespace ecseq::serving
