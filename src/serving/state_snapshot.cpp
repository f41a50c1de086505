// StateStore to a file and back.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/io/input_file.hpp"
#include "ecseq/io/replacing_file.hpp"
#include "ecseq/serving/state_store.hpp"
#include "state_shard.hpp"

namespace ecseq::serving {
namespace {

using Words = std::array<std::uint64_t, 4>;
using Footer = std::array<std::uint64_t, 2>;  // the number of users, the checksum

constexpr std::uint64_t kMagic =
    std::bit_cast<std::uint64_t>(std::array<char, 8>{'e', 'c', 's', 'e', 'q', 's', 't', 's'});
constexpr std::uint64_t kVersion = 1;
/// Copied at a time, at most, while a shard is locked.
constexpr std::size_t kBytesAtOnce = std::size_t{64} << 10;
constexpr std::size_t kRecordsAtOnce = 256;

/// An id and a block.
std::size_t record_size(const StateStoreOptions& options) {
  return sizeof(std::uint64_t) + options.block_size;
}
std::size_t records_at_once(const StateStoreOptions& options) {
  return std::clamp<std::size_t>(kBytesAtOnce / record_size(options), 1, kRecordsAtOnce);
}

std::uint64_t word_at(const std::byte* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof word);
  return word;
}

class SnapshotChecksum {
 public:
  explicit SnapshotChecksum(const Words& header) {
    for (const std::uint64_t word : header) sum_.add_word(word);
  }
  void add_record(std::span<const std::byte> record) {
    sum_.add_word(word_at(record.data()));
    sum_.add(record.data() + sizeof(std::uint64_t), record.size() - sizeof(std::uint64_t));
  }
  std::uint64_t value(std::uint64_t users) {
    sum_.add_word(users);
    return sum_.value();
  }

 private:
  io::Checksum sum_;
};

}  // namespace

std::uint64_t StateStore::save(const std::string& path) const {
  const std::lock_guard one_at_a_time(*saving_);
  io::ReplacingFile file(path);
  const Words header{kMagic, kVersion, options_.block_size, options_.block_kind};
  file.write(header.data(), sizeof header);
  SnapshotChecksum sum(header);

  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->start_walk();
  }
  const std::size_t size = record_size(options_);
  std::uint64_t users = 0;
  std::vector<std::byte> records;
  records.reserve(records_at_once(options_) * size);
  // A little of each shard in turn: the file then goes from the longest unused to the latest used
  // over all shards, roughly, and can be loaded into another number of them.
  for (bool more = true; more;) {
    more = false;
    for (const auto& shard : shards_) {
      records.clear();
      {
        const std::lock_guard lock(shard->mutex);
        shard->walk(records_at_once(options_), records);
      }
      for (std::size_t at = 0; at < records.size(); at += size) {
        sum.add_record(std::span(records).subspan(at, size));
        ++users;
      }
      file.write(records.data(), records.size());
      more = more || !records.empty();
    }
  }
  const Footer footer{users, sum.value(users)};
  file.write(footer.data(), sizeof footer);
  file.commit();
  return users;
}

StateStore StateStore::load(const std::string& path, const StateStoreOptions& options) {
  StateStore store(options);
  io::InputFile file(path);
  const auto fail = [&](const std::string& what) { throw FileError(path + ": " + what); };
  const auto expect = [&](std::uint64_t value, std::uint64_t expected, const char* what) {
    if (value == expected) return;
    fail("expected " + std::to_string(expected) + what + ", got " + std::to_string(value));
  };

  Words header;
  Footer footer;
  if (file.size() < sizeof header + sizeof footer) {
    fail("a snapshot of states has at least 48 bytes, this one " + std::to_string(file.size()));
  }
  file.read(header.data(), sizeof header);
  if (header[0] != kMagic) fail("not a snapshot of states");
  expect(header[1], kVersion, " as the version of the format");
  expect(header[2], options.block_size, " bytes per block");
  expect(header[3], options.block_kind, " as the kind of the blocks");
  const std::size_t size = record_size(options);
  const std::uint64_t content = file.size() - sizeof header - sizeof footer;
  if (content % size != 0) fail("truncated, or altered after it was written");

  SnapshotChecksum sum(header);
  const std::uint64_t users = content / size;
  std::vector<std::byte> records(std::min<std::uint64_t>(users, records_at_once(options)) * size);
  for (std::uint64_t done = 0; done < users;) {
    const std::uint64_t count = std::min<std::uint64_t>(users - done, records.size() / size);
    file.read(records.data(), count * size);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto record = std::span<const std::byte>(records).subspan(i * size, size);
      sum.add_record(record);
      store.with(word_at(record.data()), [&](std::span<std::byte> block, bool fresh) {
        if (!fresh) fail("a user appears twice");
        std::ranges::copy(record.subspan(sizeof(std::uint64_t)), block.begin());
      });
    }
    done += count;
  }
  file.read(footer.data(), sizeof footer);
  expect(footer[0], users, " as the number of users");
  if (footer[1] != sum.value(users)) {
    fail("the checksum differs: the file was altered after it was written");
  }
  return store;
}

}  // namespace ecseq::serving
