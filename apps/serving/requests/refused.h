// Why a request is not answered as it wishes.
#pragma once

#include <stdexcept>
#include <string>

namespace kindred {

// Thrown while a request is looked at; the client gets the status and {"error": "..."}.
class Refused : public std::runtime_error {
 public:
  // retry_after: seconds after which the same request may be answered; 0: it will not be.
  Refused(int status, const std::string& words, int retry_after = 0)
      : std::runtime_error(words), status_(status), retry_after_(retry_after) {}
  int status() const { return status_; }
  int retry_after() const { return retry_after_; }

 private:
  int status_, retry_after_;
};

}  // namespace kindred
