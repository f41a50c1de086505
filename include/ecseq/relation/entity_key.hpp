#pragma once

#include <cstdint>
#include <string_view>

namespace ecseq::relation {

/// Identifies a shared entity (a terminal, a merchant, a device) in 64 bits.
using EntityKey = std::uint64_t;

/// The event has no such entity.
constexpr EntityKey kNoEntity = 0;

/// The key of an id: a 64-bit hash of its text, an integer standing for its decimal digits, so
/// that 5 and "5" are one entity ("05" is another). Never kNoEntity. Keys are stored in model
/// files and are the same on every machine.
///
/// Two different ids share a key, and so a memory, with odds of n^2 / 2^65 among n entities:
/// 3e-8 for a million, 3e-4 for a hundred million. The hash does not resist somebody who picks
/// ids in order to collide.
EntityKey entity_key(std::int64_t id);
EntityKey entity_key(std::string_view id);

}  // namespace ecseq::relation
