#pragma once

#include <stdexcept>
#include <string>

namespace ecseq {

/// Base of everything ecseq throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument is outside what the function documents. Raised before any work;
/// the object it was called on is unchanged.
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

/// A model file is missing, truncated, altered or of a newer format.
class FileError : public Error {
 public:
  using Error::Error;
};

/// The progress callback asked to stop.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted") {}
};

/// Training produced non-finite values; the message says when and what to change.
class Diverged : public Error {
 public:
  using Error::Error;
};

}  // namespace ecseq
