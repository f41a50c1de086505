// State blocks as a key-value store of somebody else's gives them back. The first byte says which
// encoder they belong to and whether their head is repaired, four more begin the event, the rest
// is the block.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/io/checksum.hpp"
#include "ecseq/serving/scorer.hpp"

namespace ecseq::serving {
namespace {

const std::vector<Scorer>& scorers() {
  static const std::vector<Scorer> all = [] {
    std::vector<Scorer> out;
    for (const char* name : {"lstm", "gru", "bidirectional", "transformer"}) {
      out.push_back(Scorer::load(std::string(ECSEQ_FUZZ_MODELS "/") + name + ".ecseq"));
    }
    return out;
  }();
  return all;
}

/// An update gives a score, or refuses and leaves the block alone.
void update(const Scorer& scorer, std::vector<std::byte> block, const Event& event) {
  static Workspace workspace;
  const std::vector<std::byte> before = block;
  try {
    scorer.update(block, event, workspace);
  } catch (const Error&) {
    if (block != before) std::abort();
  }
}

/// As State::bytes would have stored it.
void repair_checksum(std::vector<std::byte>& block) {
  constexpr std::size_t kAt = offsetof(StateHead, checksum);
  std::memset(block.data() + kAt, 0, sizeof(std::uint64_t));
  io::Checksum sum;
  sum.add(block.data(), block.size());
  const std::uint64_t value = sum.value();
  std::memcpy(block.data() + kAt, &value, sizeof value);
}

void run(std::span<const std::byte> input) {
  constexpr std::size_t kEvent = 1 + sizeof(float);
  if (input.size() < kEvent) return;
  const auto choice = std::to_integer<unsigned>(input[0]);
  const Scorer& scorer = scorers()[choice % 4];
  std::vector<float> values(static_cast<std::size_t>(scorer.n_features()), 1.0F);
  std::memcpy(values.data(), input.data() + 1, sizeof(float));
  std::vector<std::byte> block(input.begin() + kEvent, input.end());
  Event event{values, 1.7e9, {}};
  if ((choice & 4) != 0) {  // of this encoder, so that its numbers are read
    block.resize(scorer.state_size());
    StateHead head;
    std::memcpy(&head, block.data(), sizeof head);
    head.magic = StateHead::kMagic;
    head.version = StateHead::kVersion;
    head.encoder = scorer.encoder_id();
    std::memcpy(block.data(), &head, sizeof head);
    if ((choice & 8) != 0) event.time = head.time;
  }
  update(scorer, block, event);
  if ((choice & 16) != 0 && block.size() >= sizeof(StateHead)) repair_checksum(block);
  try {
    const State state = State::from_bytes(block);
    update(scorer, {state.block().begin(), state.block().end()}, event);
    if (State::from_bytes(state.bytes()).bytes() != block) std::abort();
  } catch (const Error&) {  // refused in words
  }
}

}  // namespace
}  // namespace ecseq::serving

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ecseq::serving::run(std::as_bytes(std::span(data, size)));
  return 0;
}
