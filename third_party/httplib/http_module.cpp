// libkindred_http.so: what http_exchange.cpp calls.
#include <kindred/third_party/httplib/http_calls.h>

#include <httplib.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace kindred::third_party {
namespace {

// The caller's stream as the library's. Versions differ in what they ask a stream; these are the functions of all, so none says
// `override`.
class LibraryStream final : public httplib::Stream {
 public:
  explicit LibraryStream(ByteStream& stream) : stream_(stream) {}

  ssize_t read(char* to, std::size_t size) { return stream_.read(to, size); }
  ssize_t write(const char* from, std::size_t size) {
    return stream_.write(from, size) ? static_cast<ssize_t>(size) : -1;
  }
  // Whether it is time to give up is decided in read() and write().
  bool is_readable() const { return true; }
  bool is_writable() const { return true; }
  bool wait_readable() const { return true; }
  bool wait_writable() const { return true; }
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  socket_t socket() const { return stream_.descriptor(); }
  time_t duration() const { return 0; }

 private:
  ByteStream& stream_;
};

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Never listens: it is given one connection.
class OneExchange final : private httplib::Server {
 public:
  explicit OneExchange(const HttpSite& site) : site_(site) {
    for (const auto& [name, value] : site.headers) common_.emplace(name, value);
    set_default_headers(common_);
    set_expect_100_continue_handler([this](const httplib::Request& from, httplib::Response& to) {
      return refuses(from, to) ? to.status : 100;
    });
    set_pre_routing_handler([this](const httplib::Request& from, httplib::Response& to) {
      if (!refuses(from, to)) {
        if (from.method == "POST") return HandlerResponse::Unhandled;
        give(answer(from), to);
      }
      return HandlerResponse::Handled;
    });
    Post(".*", [this](const httplib::Request& from, httplib::Response& to, const httplib::ContentReader& body) {
      answer_with_body(from, to, body);
    });
    // Without this, responses have no length where the library does not expect a body.
    set_error_handler(HandlerWithResponse([this](const httplib::Request&, httplib::Response& to) {
      if (to.body.empty()) give(site_.failed(to.status), to);
      return HandlerResponse::Handled;
    }));
    set_exception_handler([this](const httplib::Request&, httplib::Response& to, std::exception_ptr) {
      give(site_.failed(500), to);
    });
    set_logger([this](const httplib::Request&, const httplib::Response& sent) { status_ = sent.status; });
  }

  int run(httplib::Stream& stream) {
    process(*this, stream, [this](httplib::Request& request) { begin(request); });
    return status_;
  }

 private:
  // Later versions are told the addresses here, and earlier ones ask the stream.
  template <typename Self>
  static void process(Self& self, httplib::Stream& stream,
                      const std::function<void(httplib::Request&)>& setup) {
    bool closed = false;
    if constexpr (requires { self.process_request(stream, true, closed, setup); })
      self.process_request(stream, true, closed, setup);
    else
      self.process_request(stream, std::string(), 0, std::string(), 0, true, closed, setup);
  }

  // Keeps the head, and takes from the library what would make it do more with the body or the response than pass it on.
  void begin(httplib::Request& request) {
    for (const auto& [name, value] : request.headers) head_.headers.emplace(in_lower_case(name), value);
    for (const char* const name : {"Content-Type", "Content-Encoding", "Accept-Encoding", "Range"})
      request.headers.erase(name);
    request.ranges.clear();
    head_.method = request.method;
    head_.path = request.path;
    head_.parameters = {request.params.begin(), request.params.end()};
  }

  bool refuses(const httplib::Request&, httplib::Response& to) {
    if (!is_decided_) refusal_ = site_.refuse(head_);
    is_decided_ = true;
    if (refusal_) give(*refusal_, to);
    return refusal_.has_value();
  }

  HttpResponse answer(const httplib::Request&) const { return site_.answer(head_); }

  void answer_with_body(const httplib::Request& from, httplib::Response& to,
                        const httplib::ContentReader& body) {
    bool has_room = true;
    const bool came = body([&](const char* data, std::size_t size) {
      has_room = site_.takes_body(head_.body.size() + size);
      if (has_room) append(data, size);
      return has_room;
    });
    give(came ? answer(from) : site_.failed(has_room ? 400 : 503), to);
  }

  // Room for the whole body is asked for once: the system gives memory only where something is written, and a body that is
  // moved while it grows would take up to three times its size.
  void append(const char* data, std::size_t size) {
    if (head_.body.empty()) {
      const std::string length = head_.header("content-length");
      std::size_t bytes = 0;
      std::from_chars(length.data(), length.data() + length.size(), bytes);
      head_.body.reserve(bytes);
    }
    head_.body.append(data, size);
  }

  void give(const HttpResponse& response, httplib::Response& to) const {
    to.status = response.status;
    to.headers.clear();
    for (const auto& [name, value] : common_) to.set_header(name, value);
    for (const auto& [name, value] : response.headers) to.set_header(name, value);
    to.set_content(response.body, response.type);
  }

  const HttpSite& site_;
  httplib::Headers common_;
  HttpRequest head_;
  bool is_decided_ = false;
  std::optional<HttpResponse> refusal_;
  int status_ = 0;
};

int exchange(ByteStream& stream, const HttpSite& site) {
  LibraryStream library_stream(stream);
  OneExchange exchange(site);
  return exchange.run(library_stream);
}

}  // namespace
}  // namespace kindred::third_party

extern "C" const kindred::third_party::HttpCalls kindred_http_calls = {kindred::third_party::http_calls_version,
                                                                       kindred::third_party::exchange};
