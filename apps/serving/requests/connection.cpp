#include <kindred/apps/serving/requests/connection.h>

#include <poll.h>        // defines: poll
#include <sys/socket.h>  // defines: recv, send, shutdown
#include <unistd.h>      // defines: close

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace kindred {
namespace {

constexpr std::chrono::milliseconds slice{50};  // so often it is looked whether the server stops
constexpr std::string_view end_of_head = "\r\n\r\n";

}  // namespace

OpenSocket::~OpenSocket() {
  if (socket_ >= 0) ::close(socket_);
}

Connection::Connection(OpenSocket socket, const ConnectionLimits& limits, const std::atomic<bool>& stopping)
    : socket_(std::move(socket)), limits_(limits), stopping_(stopping) {}

bool Connection::wait(Wish wish, Clock::time_point until) {
  while (true) {
    const auto now = Clock::now();
    if (stopping_) {
      if (!grace_until_) grace_until_ = now + limits_.grace;
      until = std::min(until, *grace_until_);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    pollfd ready{socket_.get(), static_cast<short>(wish == Wish::read ? POLLIN : POLLOUT), 0};
    const auto patience = std::clamp(left, std::chrono::milliseconds(0), slice);
    const int found = ::poll(&ready, 1, static_cast<int>(patience.count()));
    if (found > 0) return true;  // or broken, which the next call says
    if (found < 0 && errno != EINTR) return false;
    if (left.count() <= 0) return false;
  }
}

std::ptrdiff_t Connection::receive(char* to, std::size_t size, Clock::time_point until) {
  while (true) {
    const ssize_t got = ::recv(socket_.get(), to, size, 0);
    if (got >= 0) {
      received_ += static_cast<std::uint64_t>(got);
      return got;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (!wait(Wish::read, until)) {
      late_ = true;
      return -1;
    }
    // A client that sends a byte now and then has no more time than any other.
    if (Clock::now() > until) {
      late_ = true;
      return -1;
    }
  }
}

Connection::Head Connection::read_head() {
  const auto until = Clock::now() + limits_.head;
  std::array<char, 4096> buffer;
  while (true) {
    const std::ptrdiff_t got = receive(buffer.data(), buffer.size(), until);
    if (got < 0) return late_ ? Head::late : Head::closed;
    if (got == 0) return Head::closed;
    // The end may lie across two pieces.
    const std::size_t from = head_.size() - std::min(head_.size(), end_of_head.size() - 1);
    head_.append(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t end = head_.find(end_of_head, from);
    if (std::min(end, head_.size()) > limits_.head_bytes) return Head::too_long;
    if (end == std::string::npos) continue;
    body_until_ = Clock::now() + limits_.body;
    return Head::complete;
  }
}

std::ptrdiff_t Connection::read(char* to, std::size_t size) {
  if (given_ == head_.size()) return receive(to, size, body_until_);
  const std::size_t bytes = std::min(size, head_.size() - given_);
  std::memcpy(to, head_.data() + given_, bytes);
  given_ += bytes;
  return static_cast<std::ptrdiff_t>(bytes);
}

bool Connection::write(const char* from, std::size_t size) {
  if (!is_responding_) {
    is_responding_ = true;
    response_until_ = Clock::now() + limits_.response;
    grace_until_.reset();  // the client has waited for its answer, and not the server for the client
  }
  while (size > 0) {
    const ssize_t put = ::send(socket_.get(), from, size, MSG_NOSIGNAL);
    if (put < 0) {
      if (errno == EINTR) continue;
      const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      if (!full || Clock::now() > response_until_ || !wait(Wish::write, response_until_)) return false;
      continue;
    }
    from += put;
    size -= static_cast<std::size_t>(put);
    sent_ += static_cast<std::uint64_t>(put);
  }
  return true;
}

bool Connection::has_client_left() const {
  pollfd state{socket_.get(), POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0;  // POLLHUP and POLLERR come unasked
}

void Connection::say_farewell() {
  ::shutdown(socket_.get(), SHUT_WR);
  const auto until = Clock::now() + limits_.farewell;
  std::array<char, 16384> dropped;
  while (receive(dropped.data(), dropped.size(), until) > 0 && Clock::now() < until) {
  }
}

}  // namespace kindred
