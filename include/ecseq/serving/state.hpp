#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ecseq::serving {

/// The first bytes of every state block; numbers are little-endian, and the same whatever the
/// instruction set of the machine that wrote them.
struct StateHead {
  static constexpr std::uint32_t kMagic = 0x54534345;  // "ECST"
  static constexpr std::uint32_t kVersion = 1;

  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t encoder = 0;   ///< Scorer::encoder_id of the encoder whose numbers follow
  std::uint64_t user = 0;      ///< the caller's
  std::uint64_t events = 0;    ///< read so far
  double time = 0.0;           ///< of the latest event
  std::uint64_t checksum = 0;  ///< of all other bytes; 0 in blocks that are at work
};

/// What a scorer knows of one user after some events: a flat block of bytes, the head and then the
/// encoder's numbers, made by Scorer::start and advanced by Scorer::update. Its bytes may be kept
/// anywhere, in Redis, RocksDB or a stream processor's keyed state.
class State {
 public:
  State() = default;
  explicit State(std::size_t size) : block_(size) {}

  /// The block at work, to be given to a scorer.
  std::span<std::byte> block() { return block_; }
  std::span<const std::byte> block() const { return block_; }
  /// A copy of the head. Throws InvalidArgument of an empty state.
  StateHead head() const;

  /// The block with its checksum, to be stored.
  std::vector<std::byte> bytes() const;
  /// Throws FileError for bytes that are not what `bytes` gave: truncated, altered, of another
  /// version. Whose encoder they belong to is for the scorer to see.
  static State from_bytes(std::span<const std::byte> bytes);

 private:
  std::vector<std::byte> block_;
};

}  // namespace ecseq::serving
