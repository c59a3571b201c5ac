// A local page that says what an encoder sees in an image, and the same for programs, over HTTP.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/serving/batch_queue.h>
#include <kindred/apps/serving/requests/access_token.h>
#include <kindred/apps/serving/requests/listener.h>
#include <kindred/apps/serving/served_model.h>
#include <kindred/apps/serving/site.h>
#include <kindred/apps/serving/start_page.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/httplib/http_exchange.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr NumberRange ports{"0 to 65535", 0, 65535}, mebibytes{"1 to 1024", 1, 1024},
    megapixels{"1 to 178", 1, 178}, numbers_waiting{"64 to 65536", 64, 65536},
    numbers_of_connections{"1 to 900", 1, 900}, numbers_of_seconds{"1 to 3600", 1, 3600},
    numbers_of_neighbours{"1 to 100", 1, 100};

struct Flags {
  EncoderFlags encoder;
  std::string given, classifier, index, host = "127.0.0.1", token;
  std::vector<std::string> names;
  std::int64_t port = 8020, top = 5, neighbours = 8, max_upload = 32, max_megapixels = 64, most_waiting = 256,
               connections = 128, timeout = 60;
};

void add_flags(CommandLine& line, Flags& f) {
  line.add("ENCODER", f.given,
           std::string(encoder_help) + "; the same as --encoder (with --index: the encoder of the index)");
  f.encoder.batch_size = 32;
  f.encoder.add_to(line);
  line.add("--classifier", f.classifier,
           "classifier.safetensors of a probe or of a run with cross_entropy, its folder, or a file with fc.*");
  line.add("--top", f.top, "classes to name").shows_default().within(positive_integers);
  line.add("--index", f.index, "folder of an index that `similar index` made, to find neighbours in");
  line.add("-k,--neighbours", f.neighbours, "neighbours to find").shows_default().within(numbers_of_neighbours);
  line.add("--host", f.host, "the address or name to serve on; one that others can reach needs a token")
      .shows_default();
  line.add("-p,--port", f.port, "0: any that is free").shows_default().within(ports);
  line.add("--token", f.token,
           "what requests must send as \"Authorization: Bearer TOKEN\" (the environment's KINDRED_TOKEN, which "
           "other users "
           "of this machine do not see)");
  line.add("--allow-host", f.names,
           "another name under which the server may be asked; may be typed several times")
      .one_each();
  line.add("--max-upload", f.max_upload, "MiB of a request").shows_default().within(mebibytes);
  line.add("--max-megapixels", f.max_megapixels, "millions of pixels of an image")
      .shows_default()
      .within(megapixels);
  line.add("--max-waiting", f.most_waiting, "images that may wait; requests beyond are refused for a second")
      .shows_default()
      .within(numbers_waiting);
  line.add("--connections", f.connections, "clients at once").shows_default().within(numbers_of_connections);
  line.add("--timeout", f.timeout,
           "seconds in which a request must have arrived, and again in which its images must be decoded")
      .shows_default()
      .within(numbers_of_seconds);
  line.add_quiet();
}

void settle_token(Flags& f) {
  const char* const from_environment = std::getenv("KINDRED_TOKEN");
  const bool typed = !f.token.empty();
  if (!typed && from_environment != nullptr) f.token = from_environment;
  if (!f.token.empty()) check_token_text(typed ? "--token" : "KINDRED_TOKEN", f.token);
}

// Returns the index, which knows its encoder, if one was given.
std::optional<NeighbourIndex> settle(Flags& f) {
  third_party::open_http();
  settle_token(f);
  check(f.given.empty() || (f.encoder.encoder.empty() && f.encoder.weights.empty()), ExitCode::usage,
        "{}: give the encoder once, as the argument or by --encoder or --weights", f.given);
  if (!f.given.empty()) f.encoder.encoder = f.given;
  std::optional<NeighbourIndex> index;
  if (!f.index.empty()) index.emplace(f.index).give_encoder_to(f.encoder);
  f.encoder.check_values();
  f.classifier = classifier_file(f.classifier, f.encoder.best);
  return index;
}

void check_token_is_there(const Flags& f, const Listener& listener) {
  check(listener.is_loopback() || !f.token.empty(), ExitCode::usage,
        "--host {}: others can reach this address, so the server needs a token: KINDRED_TOKEN=$(openssl rand "
        "-hex 16), "
        "or --host 127.0.0.1",
        f.host);
}

RequestRules request_rules(const Flags& f, const Listener& listener) {
  RequestRules rules;
  std::vector<std::string> names = f.names;
  names.push_back(f.host);
  for (std::string& name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const bool is_address = name.find(':') != std::string::npos && !name.starts_with('[');
    rules.hosts.push_back(is_address ? "[" + name + "]" : name);
  }
  rules.takes_any_address = !listener.is_loopback();
  rules.most_upload_bytes = static_cast<std::size_t>(f.max_upload) << 20;
  return rules;
}

ServedModel load_model(const Flags& f, const std::optional<NeighbourIndex>& index) {
  auto encoder = index ? index->load_encoder(f.encoder) : f.encoder.load();
  std::optional<Classifier> classifier;
  if (!f.classifier.empty()) {
    classifier = load_classifier(f.classifier, encoder->encoder->feature_dim);
    if (const auto warning = other_encoder_warning(*classifier, f.classifier, encoder->store); !warning.empty())
      fmt::print("{}\n", one_line(warning));
  }
  if (index)
    fmt::print("neighbours are found among {} ({})\n", counted(index->images(), "image"), one_line(f.index));
  if (!classifier && !index)
    fmt::print("warning: without --classifier and --index there are only features, /predict?feature=1\n");
  return {std::move(encoder), std::move(classifier), index ? index->search(f.neighbours) : NeighbourSearch(),
          f.top};
}

// Until a signal ends it.
void serve_model(const Flags& f, Listener& listener, const ServedModel& model) {
  ServerMetrics metrics;
  BatchQueue queue({.most_images = f.encoder.batch_size, .most_waiting = f.most_waiting},
                   [&](std::span<const std::uint8_t> pixels, std::int64_t images) {
                     const double start = now_seconds();
                     auto results = model.compute(pixels, images);
                     metrics.add_batch(images, now_seconds() - start);
                     return results;
                   });
  ImagePreparer preparer(model.info(), std::max<std::int64_t>(1, f.encoder.workers),
                         static_cast<std::uint64_t>(f.max_megapixels) * 1'000'000);
  Predictor predictor(preparer, queue, metrics, {model.has_classes(), model.has_neighbours()});
  SiteRules rules;
  rules.requests = request_rules(f, listener);
  rules.limits.body = std::chrono::seconds(f.timeout);
  rules.preparation = std::chrono::seconds(f.timeout);
  rules.token = f.token;
  rules.most_received_bytes = 8 * rules.requests.most_upload_bytes;
  rules.page = start_page({model.info().model, preparer.side(), model.has_classes(), model.has_neighbours(),
                           !f.token.empty(), rules.requests.most_upload_bytes});
  Site site(
      std::move(rules), predictor, metrics,
      [&] {
        return ServerState{queue.waiting(), listener.connections()};
      },
      listener.is_stopping());
  struct StopsAtEnd {  // connections use all of the above
    Listener& listener;
    BatchQueue& queue;
    ~StopsAtEnd() {
      queue.close();
      listener.finish();
    }
  } stops{listener, queue};
  listener.start(
      static_cast<std::size_t>(f.connections),
      [&](OpenSocket socket, const std::string& address) { site.serve(std::move(socket), address); },
      [&](OpenSocket socket, const std::string&) { site.refuse(std::move(socket)); });
  results_follow();
  fmt::print("serving on {}\n", listener.url());
  std::fflush(stdout);
  queue.work([&] {
    if (interrupt_signal() != 0) listener.stop();
    return listener.is_over();
  });
  fmt::print("{}: no more requests are taken, and all are answered: {}, {}\n", interrupt_name(),
             counted(metrics.requests(), "request"), counted(metrics.images(), "image"));
}

int serve(int argc, char** argv) {
  CommandLine line(
      "Serves a page where images are dropped and their classes and neighbours come back, and the same as JSON "
      "for "
      "programs. Ctrl-C or SIGTERM ends it.",
      "serve");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  watch_for_interrupts();
  const std::optional<NeighbourIndex> index = settle(flags);
  Listener listener(flags.host, static_cast<int>(flags.port));
  check_token_is_there(flags, listener);
  const ServedModel model = load_model(flags, index);
  model.warm_up(BatchQueue::next_batch(flags.encoder.batch_size, flags.encoder.batch_size));
  end_if_interrupted("nothing was served; the same command begins anew");
  serve_model(flags, listener, model);
  return 0;  // a server is always ended by a signal, so that is no failure
}

const Program serve_program("serve", "answers on a local page, and programs, what an encoder sees in an image",
                            serve);

}  // namespace
}  // namespace kindred
