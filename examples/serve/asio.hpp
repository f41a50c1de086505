#pragma once

// clang-format off
#include <utility>  // first: the awaitable.hpp of Boost 1.74 uses std::exchange without it
// clang-format on
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace service {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

/// Completion token: `co_await operation(.., into(error))` puts the error there, throws nothing.
inline auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace service
