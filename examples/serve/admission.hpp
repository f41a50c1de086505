#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace service {

/// A bound on what goes on at once: who finds it full is told so, nobody waits.
class Admission {
 public:
  explicit Admission(std::size_t limit) : limit_(limit) {}

  /// A place, given back when it is destroyed.
  class Ticket {
   public:
    explicit Ticket(Admission& admission) : admission_(&admission) {}
    Ticket(Ticket&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)) {}
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(admission_, other.admission_);
      return *this;
    }
    ~Ticket() {
      if (admission_) admission_->taken_.fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    Admission* admission_;
  };

  std::optional<Ticket> try_enter() {
    if (taken_.fetch_add(1, std::memory_order_relaxed) < limit_) return Ticket(*this);
    taken_.fetch_sub(1, std::memory_order_relaxed);
    return {};
  }

  std::size_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  std::size_t limit_;
  std::atomic<std::size_t> taken_{0};
};

}  // namespace service
