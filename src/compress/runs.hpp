#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::compress {

/// The places 0, 1, ... of a list of numbers, those of equal numbers next to each other.
template <class Place>
struct Runs {
  std::vector<Place> places;  ///< by their number; of equal ones the lower first
  std::vector<Index> starts;  ///< [bound + 1] of each number's run in `places`
};

/// number: each from 0 to bound - 1
template <class Place>
Runs<Place> runs_of(std::span<const std::int32_t> number, Index bound) {
  Runs<Place> out{std::vector<Place>(number.size()), {}};
  std::vector<Index>& starts = out.starts;
  starts.assign(static_cast<std::size_t>(bound) + 1, 0);
  for (const std::int32_t n : number) ++starts[static_cast<std::size_t>(n)];
  std::inclusive_scan(starts.begin(), starts.end(), starts.begin());
  for (std::size_t i = number.size(); i-- > 0;) {  // of ends they become starts
    Index& end = starts[static_cast<std::size_t>(number[i])];
    out.places[static_cast<std::size_t>(--end)] = static_cast<Place>(i);
  }
  return out;
}

}  // namespace ecseq::compress
