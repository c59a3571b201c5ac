#include <kindred/apps/pages/page.h>
#include <kindred/apps/serving/start_page.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace kindred {
namespace {

const char* what_comes_back(const StartPage& page) {
  if (page.has_classes && page.has_neighbours) return "its most probable classes and the images most like it";
  if (page.has_classes) return "its most probable classes";
  if (page.has_neighbours) return "the images most like it";
  return "the picture as the network sees it; for classes start the server with --classifier, for neighbours "
         "with --index";
}

constexpr const char* page_body = R"html(
<style>
[hidden] { display: none !important; }
.answers { margin: 1rem 0; padding: 0; list-style: none; }
.answer { display: flex; gap: 1rem; max-width: none; margin: 0 0 0.8rem; }
.answer > .picture { flex: none; }
.answer.refused > .picture { display: none; }
.answer-text { flex: 1; min-width: 0; }
.answer-text > h2 { margin: 0; padding: 0; border: 0; font-size: 1rem; }
.answer-state { margin: 0.1rem 0 0.4rem; }
.answer-state:empty { display: none; }
.answer-parts { display: flex; flex-wrap: wrap; gap: 0.4rem 2.5rem; align-items: flex-start; }
.answer-parts > table { margin: 0.2rem 0; }
.answer-parts > .group { flex: 1 1 22rem; margin-top: 0.3rem; }
.answer-parts .bar { width: clamp(3rem, 16vw, 8rem); }
.answer-parts th, .answer-parts td { padding: 0.25rem 1rem 0.25rem 0; }
#token { margin-bottom: 1rem; }
#token p:empty { display: none; }
.failed { color: var(--wrong); }
#queue { margin-top: 1rem; }
#progress { margin: 0 auto 0 0; }
@media (max-width: 30rem) { .answer { display: block; } }
</style>
<form id="token" class="panel" hidden>
<label for="token-text">This server asks for the token that it was started with. The page forgets it when it is closed.</label>
<div class="controls">
<input type="password" id="token-text" autocomplete="off" spellcheck="false" aria-describedby="token-problem">
<button type="submit">Use this token</button>
</div>
<p id="token-problem" class="failed" role="alert"></p>
</form>
<div id="drop" class="drop">
<p>Drop images here, paste them, or</p>
<button type="button" id="choose">Choose images</button>
<input type="file" id="files" multiple accept="image/*" hidden aria-label="Images">
<p class="soft" id="limits"></p>
</div>
<div class="controls" id="queue" hidden>
<p id="progress"></p>
<button type="button" id="stop">Leave out those that wait</button>
<button type="button" id="clear" class="quiet">Clear the list</button>
</div>
<ol id="answers" class="answers" aria-label="Answers"></ol>
<noscript><p class="verdict wrong">This page needs JavaScript. Without it: curl --data-binary @IMAGE followed by this page's
address and predict</p></noscript>
)html";

}  // namespace

std::string start_page(const StartPage& page) {
  const nlohmann::json data{{"most_upload_bytes", page.most_upload_bytes},
                            {"asks_token", page.asks_token},
                            {"has_classes", page.has_classes},
                            {"has_neighbours", page.has_neighbours}};
  Page whole;
  whole.title = "Kindred: show it an image";
  whole.body = fmt::format(
      "<h1>Show it an image</h1>\n<p class=\"lead\">{} looks at {} × {} pixels of an image, and you get "
      "{}.</p>{}",
      html_text(page.model), page.side, page.side, what_comes_back(page), page_body);
  whole.data = &data;
  whole.scripts = {"serve.js"};
  whole.talks_to_its_server = true;
  return page_text(whole);
}

}  // namespace kindred
