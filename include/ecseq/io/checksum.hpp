#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ecseq::io {

static_assert(std::endian::native == std::endian::little,
              "files hold little-endian numbers and are copied, not converted");

/// A 64-bit hash of a list of byte strings, to notice damage; no defence against somebody who
/// wants a collision. Part of the file format: its values never change.
///
/// Each 8-byte word w (little-endian, the last one padded with zeros) updates the state by
///   h <- (h xor w) * odd constant;  h <- h xor (h >> 32)
/// Both steps are bijections of h for a given w and of w for a given h, so that a change inside
/// one word is always noticed; any other change escapes with odds of about 2^-64. The length of
/// each string is a word of its own, so moving a byte from one string to the next is noticed.
class Checksum {
 public:
  void add(const void* data, std::size_t bytes) {
    add_word(bytes);
    const char* at = static_cast<const char*>(data);
    for (; bytes >= 8; bytes -= 8, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      add_word(word);
    }
    if (bytes > 0) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, bytes);
      add_word(word);
    }
  }
  void add(std::string_view text) { add(text.data(), text.size()); }
  void add_word(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x9e3779b97f4a7c15ULL;
    state_ ^= state_ >> 32;
  }

  /// The state after MurmurHash3's 64-bit finaliser (Appleby), which lets every bit of the state
  /// reach every bit of the result.
  std::uint64_t value() const {
    std::uint64_t h = state_;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
  }

 private:
  std::uint64_t state_ = 0x6563736571303031ULL;
};

}  // namespace ecseq::io
