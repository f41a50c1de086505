#include "ecseq/serving/state.hpp"

#include <cstring>
#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"

namespace ecseq::serving {
namespace {

static_assert(sizeof(StateHead) == 48);
constexpr std::size_t kChecksumAt = offsetof(StateHead, checksum);

/// Of a block as if its checksum were 0.
std::uint64_t checksum_of(std::vector<std::byte> block) {
  std::memset(block.data() + kChecksumAt, 0, sizeof(std::uint64_t));
  io::Checksum sum;
  sum.add(block.data(), block.size());
  return sum.value();
}

}  // namespace

StateHead State::head() const {
  if (block_.size() < sizeof(StateHead)) throw InvalidArgument("state: it is empty");
  StateHead head;
  std::memcpy(&head, block_.data(), sizeof head);
  return head;
}

std::vector<std::byte> State::bytes() const {
  head();  // refuses an empty state
  std::vector<std::byte> out = block_;
  const std::uint64_t checksum = checksum_of(out);
  std::memcpy(out.data() + kChecksumAt, &checksum, sizeof checksum);
  return out;
}

State State::from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(StateHead)) {
    throw FileError("state: expected at least " + std::to_string(sizeof(StateHead)) +
                    " bytes, got " + std::to_string(bytes.size()));
  }
  State state;
  state.block_.assign(bytes.begin(), bytes.end());
  const StateHead head = state.head();
  if (head.magic != StateHead::kMagic) throw FileError("state: not an ecseq state");
  if (head.version != StateHead::kVersion) {
    throw FileError("state: of version " + std::to_string(head.version) +
                    "; this library reads version " + std::to_string(StateHead::kVersion));
  }
  if (head.checksum != checksum_of(state.block_)) {
    throw FileError("state: the checksum differs: its bytes were altered or cut off");
  }
  std::memset(state.block_.data() + kChecksumAt, 0, sizeof(std::uint64_t));
  return state;
}

}  // namespace ecseq::serving
