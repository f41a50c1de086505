#include "ecseq/relation/entity_key.hpp"

#include <charconv>

#include "ecseq/io/checksum.hpp"

namespace ecseq::relation {

EntityKey entity_key(std::string_view id) {
  io::Checksum hash;
  hash.add(id);
  const EntityKey key = hash.value();
  return key == kNoEntity ? 1 : key;
}

EntityKey entity_key(std::int64_t id) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, id).ptr;
  return entity_key(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

}  // namespace ecseq::relation
