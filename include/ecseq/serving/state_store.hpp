#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ecseq::serving {

class StateShard;

struct StateStoreOptions {
  std::size_t block_size = 0;    ///< bytes per user, 1 to StateStore::kMaxBlockSize
  std::uint64_t block_kind = 0;  ///< whose blocks they are; a snapshot of another kind is refused
  std::size_t max_users = 0;     ///< 0: no bound
  int shards = 64;               ///< parts with a lock each, 1 to 65536
  /// Users whose memory is taken and touched at once, so that no first event of theirs waits for
  /// it: where the system has it ready, 0.1 ms for every 2 MB; of a virtual machine's host,
  /// milliseconds.
  std::size_t reserve_users = 0;
};

/// A block of bytes for each of tens of millions of users, in memory. Safe from any number of
/// threads.
///
/// Users are spread over shards by a hash of their id; calls that meet in a shard wait for one
/// another. The hash does not resist somebody who picks ids in order to collide.
///
/// With a bound, the user whose latest `with` is longest ago makes room for a new one. The bound is
/// divided evenly among the shards and holds in each, so that the users forgotten are those of the
/// shard, and the first is forgotten a little before there are max_users in all: at about
/// (1 - 3 / sqrt(max_users / shards)) max_users. Where the bound leaves a shard fewer than 1024
/// users there are fewer shards; with one, the order is exact.
///
/// Memory: a block takes block_size + 16 bytes, rounded up to a multiple of 64, and begins at a
/// multiple of 64; an index takes 10.7 to 21.3 bytes more per user. It is taken from the system as
/// users come, from half a megabyte per shard on 2 MB at a time and in huge pages where the system
/// has them; what is forgotten is used again, nothing goes back before the end.
///
/// Pauses are those of growing, while a shard's lock is held: the system clears the next 2 MB
/// (about 0.1 ms; longer in a virtual machine that has to get them from its host), and the index
/// is copied to one of twice the size (about 1 ms at 150,000 users per shard, in proportion to
/// their number: more shards make it shorter).
class StateStore {
 public:
  static constexpr std::size_t kMaxBlockSize = std::size_t{1} << 20;

  /// Throws InvalidArgument.
  explicit StateStore(const StateStoreOptions& options);
  StateStore(StateStore&&) noexcept;
  StateStore& operator=(StateStore&&) noexcept;
  ~StateStore();

  /// Calls use(std::span<std::byte> block, bool fresh) while nobody else can see the user's block,
  /// and returns what it returns, by value. A fresh user was not there; the block is zeros then.
  /// If `use` throws, a fresh user is not kept and nobody is forgotten; of a user that was there
  /// the block stays as `use` left it: to leave it valid is the duty of `use`. It must not call
  /// this store, whose lock it holds, nor take long, for the other users of the shard.
  /// Throws std::bad_alloc, with nothing changed, where a fresh user does not fit into memory.
  template <class Use>
  auto with(std::uint64_t user, Use&& use) {
    Visit visit(*this, user);
    if constexpr (std::is_void_v<decltype(use(visit.block(), visit.fresh()))>) {
      std::forward<Use>(use)(visit.block(), visit.fresh());
      visit.keep();
    } else {
      auto result = std::forward<Use>(use)(visit.block(), visit.fresh());
      visit.keep();
      return result;
    }
  }

  /// Copies the user's block; false if the user is not there. out: [block_size], otherwise throws
  /// InvalidArgument. Does not count as a use.
  bool read(std::uint64_t user, std::span<std::byte> out) const;
  /// Forgets the user; false if the user was not there.
  bool erase(std::uint64_t user);

  /// Brings the user's block into the processor's caches, if the user is there and the shard's lock
  /// is free. Worth calling for the next user while one is scored.
  void prefetch(std::uint64_t user) const noexcept;
  /// The first half of that, which waits for nothing: where the search for the user begins.
  void prefetch_index(std::uint64_t user) const noexcept;

  std::uint64_t size() const noexcept;
  /// Users forgotten to make room, so far.
  std::uint64_t evicted() const noexcept;
  /// Bytes taken from the system for blocks and index, of which pages never touched cost nothing.
  std::size_t bytes() const;

  /// Writes all users to one file, which replaces `path` as a whole or not at all
  /// (io::ReplacingFile); returns their number. Meanwhile the others go on: a shard is locked for
  /// 256 users or 64 KB at a time. Every block is as it was at some moment of the call, each at its
  /// own: this is no picture of one point in time. Users who come during the call are not in it,
  /// even if they had been there and were forgotten or erased; users who go may be. Beside a buffer
  /// it takes one bit per 64 bytes of blocks. One call waits for another. Throws FileError.
  ///
  /// The file, in little-endian words of 8 bytes: "ecseqsts", version 1, block_size, block_kind; of
  /// each user the id, then the block, longest unused first; the number of users; the io::Checksum
  /// of all before it, a block being one string.
  std::uint64_t save(const std::string& path) const;

  /// The store of these users, in the order in which they were last used (exactly so if the number
  /// of shards is the same, else about so). Where they are more than the bound, those longest
  /// unused are dropped and count as evicted. Throws FileError if the file is truncated, altered or
  /// of other blocks than `options` says; nothing larger than the file is allocated.
  static StateStore load(const std::string& path, const StateStoreOptions& options);

 private:
  /// One user's block while the shard's lock is held.
  class Visit {
   public:
    Visit(const StateStore& store, std::uint64_t user);
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    /// A fresh user that was not kept has never been there.
    ~Visit();

    std::span<std::byte> block() const { return block_; }
    bool fresh() const { return fresh_; }
    void keep() noexcept;

   private:
    std::uint64_t hash_;
    std::uint64_t user_;
    StateShard& shard_;
    std::unique_lock<std::mutex> lock_;
    std::uint32_t place_;
    bool fresh_;
    bool kept_;
    std::span<std::byte> block_;
  };

  StateShard& shard_of(std::uint64_t hash) const;

  StateStoreOptions options_;
  std::vector<std::unique_ptr<StateShard>> shards_;
  std::unique_ptr<std::mutex> saving_;
};

}  // namespace ecseq::serving
