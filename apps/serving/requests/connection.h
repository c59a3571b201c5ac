// A connected client that may be slow, hostile, or gone: every wait has an end, and the head of a request a length.
#pragma once

#include <kindred/third_party/httplib/http_exchange.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kindred {

// A socket that is closed at the end.
class OpenSocket {
 public:
  explicit OpenSocket(int socket = -1) : socket_(socket) {}
  OpenSocket(OpenSocket&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  OpenSocket& operator=(OpenSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~OpenSocket();
  int get() const { return socket_; }
  bool is_open() const { return socket_ >= 0; }

 private:
  int socket_;
};

struct ConnectionLimits {
  std::size_t head_bytes = 16384;
  std::chrono::milliseconds head{10'000};      // until the head has come
  std::chrono::milliseconds body{60'000};      // from there until the body has come
  std::chrono::milliseconds response{60'000};  // until the client has taken the response
  std::chrono::milliseconds farewell{3'000};   // how long what the client still sends is read and dropped
  std::chrono::milliseconds grace{1'000};      // what is left of each of these once the server is stopping
};

class Connection final : public third_party::ByteStream {
 public:
  // The socket does not block. `stopping` becomes true when the server stops.
  Connection(OpenSocket socket, const ConnectionLimits& limits, const std::atomic<bool>& stopping);

  enum class Head : std::uint8_t { complete, closed, late, too_long };
  // Waits for the head of a request; read() gives it again. To be called once, before read().
  Head read_head();

  std::ptrdiff_t read(char* to, std::size_t size) override;
  bool write(const char* from, std::size_t size) override;
  int descriptor() const override { return socket_.get(); }
  bool write(std::string_view text) { return write(text.data(), text.size()); }

  bool was_late() const { return late_; }  // a read has given up because the time was over
  // Whether the client has closed its side, or is gone. Nobody can tell the two apart before an answer is sent, and who asks for
  // an answer has no reason for the first.
  bool has_client_left() const;
  std::uint64_t received() const { return received_; }
  std::uint64_t sent() const { return sent_; }

  // Lets the client read the response although it may still be sending: closing at once would take the response from it.
  void say_farewell();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Wish : std::uint8_t { read, write };
  bool wait(Wish wish, Clock::time_point until);  // false: not in time, or broken
  std::ptrdiff_t receive(char* to, std::size_t size, Clock::time_point until);

  const OpenSocket socket_;
  const ConnectionLimits limits_;
  const std::atomic<bool>& stopping_;
  std::string head_;       // that was read, with what came behind it
  std::size_t given_ = 0;  // of head_, by read()
  Clock::time_point body_until_{}, response_until_{};
  std::optional<Clock::time_point> grace_until_{};  // since the server stops
  bool is_responding_ = false, late_ = false;
  std::uint64_t received_ = 0, sent_ = 0;
};

}  // namespace kindred
