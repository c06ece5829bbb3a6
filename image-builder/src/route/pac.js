
function has(table, key) {
  return Object.prototype.hasOwnProperty.call(table, key);
}

// Four numbers of an IPv4 address as two words of 16 bits, or null.
function ipv4(text) {
  var match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  for (var i = 1; i <= 4; i++) if (+match[i] > 255) return null;
  return [match[1] * 256 + +match[2], match[3] * 256 + +match[4]];
}

// An IPv6 address as eight words of 16 bits, or null (RFC 4291, section 2.2). One that stands for an IPv4 address
// (section 2.5.5.2) is that.
function ipv6(text) {
  if (text.indexOf(":") < 0) return null;
  var zone = text.indexOf("%");
  if (zone >= 0) text = text.substring(0, zone);
  var halves = text.split("::");
  if (halves.length > 2) return null;
  var words = [];
  for (var h = 0; h < halves.length; h++) {
    var half = [];
    var parts = halves[h] === "" ? [] : halves[h].split(":");
    for (var p = 0; p < parts.length; p++) {
      var last = ipv4(parts[p]);
      if (last && p === parts.length - 1) half = half.concat(last);
      else if (/^[0-9a-f]{1,4}$/.test(parts[p])) half.push(parseInt(parts[p], 16));
      else return null;
    }
    words.push(half);
  }
  if (words.length === 2) {
    while (words[0].length + words[1].length < 8) words[0].push(0);
    words = [words[0].concat(words[1])];
  }
  words = words[0];
  if (words.length !== 8) return null;
  var mapped = words[5] === 65535;
  for (var w = 0; w < 5; w++) if (words[w] !== 0) mapped = false;
  return mapped ? [words[6], words[7]] : words;
}

function within(address, network, bits) {
  if (address.length !== network.length) return false;
  for (var i = 0; bits > 0; i++, bits -= 16) {
    var drop = Math.pow(2, bits >= 16 ? 0 : 16 - bits);
    if (Math.floor(address[i] / drop) !== Math.floor(network[i] / drop)) return false;
  }
  return true;
}

function ofAddress(address) {
  for (var i = 0; i < PREFIXES.length; i++) {
    if (within(address, PREFIXES[i][0], PREFIXES[i][1])) return PREFIXES[i][2];
  }
  return OTHERWISE;
}

// The first of the patterns with a star within, which lie in order: [begin, end, rank, way], or null.
function ofGlob(host) {
  for (var i = 0; i < GLOBS.length; i++) {
    var begin = GLOBS[i][0], end = GLOBS[i][1];
    if (host.length > begin.length + end.length && host.substring(0, begin.length) === begin &&
        host.substring(host.length - end.length) === end) return GLOBS[i];
  }
  return null;
}

// The name itself, then the longest end of it that has a rule.
function ofName(host) {
  if (has(NAMES, host)) return NAMES[host];
  var glob = ofGlob(host);
  for (var end = host; end; end = end.indexOf(".") < 0 ? "" : end.substring(end.indexOf(".") + 1)) {
    if (glob && end.length <= glob[2]) break;
    if (has(DOMAINS, end)) return DOMAINS[end];
  }
  if (glob) return glob[3];
  if (host === "localhost" || /\.localhost$/.test(host)) return "d";
  if (host.indexOf(".") < 0 || /\.local$/.test(host)) return "d";
  return OTHERWISE;
}

function FindProxyForURL(url, host) {
  host = host.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.+$/, "");
  var address = ipv4(host) || ipv6(host);
  return ANSWERS[address ? ofAddress(address) : ofName(host)];
}
