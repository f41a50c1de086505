#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

// Checks of options: each throws InvalidArgument, which names the option.

/// value is one of the words in `valid`.
void require_one_of(const char* name, const std::string& value,
                    std::initializer_list<std::string_view> valid);

/// value >= minimum
void require_at_least(const char* name, Index value, Index minimum);

}  // namespace ecseq
