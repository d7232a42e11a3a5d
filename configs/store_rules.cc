#include "configs/store_rules.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "configs/units.h"
#include "data/store/store_url.h"

namespace phalanx {

void check_places(const ResolvedConfig& config, Problems& problems) {
  const auto fail = [&](const std::string& path, const std::string& message) {
    problems.add(config.nearest_origin(path), path, message);
  };
  const auto check_url = [&](const std::string& path, const std::string& url) {
    try {
      (void)parse_store_url(url);
    } catch (const std::invalid_argument& error) {
      fail(path, error.what());
    }
  };
  const DataConfig& data = config.run.data;
  bool any_url = false;
  for (const SourceConfig& source : data.sources) {
    const std::string field = fmt::format("data.sources.{}.path", source.name);
    for (const std::string& place : places_of(source)) {
      if (is_store_url(place)) {
        any_url = true;
        check_url(field, place);
      } else if (!source.mirrors.empty()) {
        fail(field, fmt::format("expected URLs in a list, got '{}'", place));
      }
    }
  }
  const std::string& endpoint = data.store.endpoint;
  if (!endpoint.empty() && (!is_store_url(endpoint) || endpoint.starts_with("s3:"))) {
    fail("data.store.endpoint",
         fmt::format("expected https://host or http://host:port, got '{}'", endpoint));
  } else if (!endpoint.empty()) {
    check_url("data.store.endpoint", endpoint);
  }
  const double limit = config.run.watchdog.limits.start;
  if (any_url && limit > 0 && data.store.patience_seconds >= limit) {
    fail("data.store.patience",
         fmt::format("expected less than watchdog.start_timeout of {}, which would take the "
                     "wait for a hang, got {}",
                     format_seconds(limit), format_seconds(data.store.patience_seconds)));
  }
}

}  // namespace phalanx
