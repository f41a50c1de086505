#pragma once

#include "ecseq/autograd/operations/add.hpp"
#include "ecseq/autograd/operations/binary_cross_entropy.hpp"
#include "ecseq/autograd/operations/concat_columns.hpp"
#include "ecseq/autograd/operations/cross_entropy.hpp"
#include "ecseq/autograd/operations/dropout.hpp"
#include "ecseq/autograd/operations/linear.hpp"
#include "ecseq/autograd/operations/matmul.hpp"
#include "ecseq/autograd/operations/relu.hpp"
#include "ecseq/autograd/operations/sigmoid.hpp"
#include "ecseq/autograd/operations/squared_error.hpp"
#include "ecseq/autograd/operations/tanh.hpp"
