#!/usr/bin/env python3
"""Makes mail that looks like real mail, always the same for the same seed.

	genmail.py -n 20000 --small --maildir DIR/mail/ana/mail --owner "$(cat DIR/owner)"

Message i of a seed has the same bytes whatever -n and --jobs are. It is written as a Maildir++ tree
that Dovecot takes as its own: ,S= and ,W= in the names, keywords as letters, folder names in modified
UTF-7, the internal date as the file's time.

Sizes: half are below 4.4 KB, a tenth above 36 KB, the largest 7.5 MB; --small leaves out the large
attachments (20,000 messages are then about 139 MB). Among them are threads, 8-bit headers and bodies,
300 recipients, lines of 9,000 bytes, Message-IDs that are missing, empty, folded, double or another
message's, dates that are none, nested messages, empty bodies, last lines without an end. --hostile
adds NUL, bare CR, CR CR LF, lines of 100 KB, headers without an end."""
import argparse
import base64
import hashlib
import json
import os
import quopri
import random
import re
import time
from email.utils import formatdate

FOLDERS = [("INBOX", 40), ("Sent", 12), ("Archive", 10), ("Archive/2019", 8), ("Archive/2020", 6),
	("Lists/dev", 10), ("Lists/announce", 4), ("Entwürfe", 2), ("Été/Québec", 2), ("日本語", 2),
	("A&B Co", 2), ("with space/sub folder", 2), ("Junk", 3), ("Trash", 3), ("x-y", 1),
	("Lists/very/deep/nested/box", 1)]
KEYWORDS = {"$Forwarded": .05, "$Junk": .02, "NonJunk": .3, "work": .03, "$MDNSent": .02}
FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
NAMES = ["Ana Müller", "Bob Smith", "Chloé Dupont", "Dmitri Иванов", "Eve O'Brien", "François",
	"山田 太郎", "Gül Şahin", "Hans-Jörg Groß", "Ida", 'J. R. "Bob" Dobbs', "Kim (work)", "Liu Wei",
	"noreply", "Mailer Daemon", "Zoë"]
WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or
	had an they which one you were all her she there would their we him been has when who will no more
	if out so up said what its about than into them can only other time new some could these two may
	first then do any like my now over such our man me even most made after also did many off before
	must well back through years where much your way down should because long each just state those
	people too mr little good world make very year still see own work men day get here between both
	life being under three never know same last another while us old great go come since against right
	came take used himself few house american use place during high without again home around small
	however found mrs part school thought went say general once upon war every left""".split()


def encoded_word(text):
	if text.isascii():
		return text
	if len(text) < 30:
		return "=?utf-8?b?%s?=" % base64.b64encode(text.encode()).decode()
	quoted = quopri.encodestring(text.encode(), header=True).decode().replace("=\n", "")
	return "=?utf-8?q?%s?=" % quoted


def modified_utf7(name):
	def flush():
		if not wide:
			return ""
		code = base64.b64encode("".join(wide).encode("utf-16be")).decode().rstrip("=")
		wide.clear()
		return "&" + code.replace("/", ",") + "-"

	out, wide = "", []
	for c in name:
		if " " <= c <= "~":
			out += flush() + ("&-" if c == "&" else c)
		else:
			wide.append(c)
	return out + flush()


def cut(text, limit):
	"""At most limit characters, ending with a whole line."""
	return text if len(text) <= limit else text[:text.rfind("\r\n", 0, limit) + 2]


class Pool:
	"""Text and base64 lines to take from: making them anew for each message would be slow."""

	def __init__(self, seed):
		r = random.Random(1000003 * seed + 7)
		self.plain = [self.paragraph(r) for _ in range(1500)]
		self.wide = [self.paragraph(r, True) for _ in range(300)]
		self.base64 = base64.encodebytes(r.randbytes(6 << 20)).replace(b"\n", b"\r\n")
		self.lines = len(self.base64) // 78

	@staticmethod
	def paragraph(r, wide=False):
		sentences = []
		for _ in range(r.randint(2, 6)):
			words = r.choices(WORDS, k=r.randint(5, 18))
			sentences.append(" ".join(words).capitalize() + r.choice("...?!"))
		text = " ".join(sentences)
		if wide:
			swap = {"the": " der große ", "and": " été à ", "of": " 日本 "}
			text = re.sub(" (the|and|of) ", lambda m: swap[m.group(1)], text)
		lines, line = [], ""
		for word in text.split(" "):
			if len(line) + len(word) > 72:
				lines.append(line)
				line = word
			else:
				line = line + " " + word if line else word
		return "\r\n".join(lines + [line]) + "\r\n\r\n"

	def text(self, r):
		n = max(1, int(r.lognormvariate(2.2, .8)))
		return cut("".join(r.choices(self.plain, k=n)), 60000)

	def attachment(self, r, size):
		n = min(max(1, size // 78), self.lines - 1)
		start = r.randrange(self.lines - n)
		return self.base64[start * 78:(start + n) * 78]


def part(kind, body, *headers):
	lines = ["Content-Type: " + kind, *headers, "", ""]
	return "\r\n".join(lines).encode() + (body if isinstance(body, bytes) else body.encode())


class Message:
	"""One message: raw (with CRLF), file (with LF), folder, flags, keywords, date, message_id."""

	def __init__(self, i, opt, pool):
		self.i, self.opt, self.pool = i, opt, pool
		mixed = opt.seed * 0x9E3779B97F4A7C15 + i * 0x632BE59BD9B4E019
		self.r = r = random.Random(mixed & ((1 << 64) - 1))
		self.date = 1262304000 + i * 9000 % 500000000 + r.randrange(9000)
		self.headers = []
		self.make_envelope()
		self.make_message_id()
		self.make_rest_of_headers()
		kind, body = self.make_body()
		self.headers.append("Content-Type: " + kind)
		head = b"\r\n".join(self.header_bytes(h) for h in self.headers)
		self.raw = head + b"\r\n\r\n" + body
		if opt.hostile:
			self.spoil(head)
		self.file = self.raw.replace(b"\r\n", b"\n")
		self.make_place()

	def as_sent(self):
		"""What a server sends for the file: one CR before each LF, no NUL (Dovecot puts 0x80)."""
		return re.sub(rb"(?<!\r)\n", b"\r\n", self.file).replace(b"\0", b"\x80")

	def header_bytes(self, text):
		# Latin-1 where it fits: raw 8-bit in a header that is not UTF-8 either.
		return text.encode("utf-8" if any(ord(c) > 255 for c in text) else "latin1")

	def id_of(self, i):
		x = random.Random((self.opt.seed << 40) ^ i)
		return "<%08x.%d.%s@%s>" % (x.getrandbits(32), i, x.choice(["abc", "PM", "JavaMail", "mail"]),
			x.choice(["example.org", "mx1.example.com", "lists.example.net", "localhost.localdomain"]))

	def address(self):
		name, r = self.r.choice(NAMES), self.r
		if any(c in name for c in '.(")'):
			name = '"%s"' % name.replace('"', '\\"')
		else:
			name = encoded_word(name)
		return "%s <u%d@example.%s>" % (name, r.randrange(400), r.choice(["org", "com", "net"]))

	def make_envelope(self):
		r, add = self.r, self.headers.append
		for j in range(r.choice([1, 2, 3, 3, 4, 6, 12])):
			add("Received: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\r\n"
				"\tby mail%d.example.net (Postfix) with ESMTPS id %010X\r\n\tfor <u@example.net>; %s" % (j, j, r.randrange(255),
				j, r.getrandbits(40), formatdate(self.date - j * 7)))
		if r.random() < .4:
			lines = [base64.b64encode(r.randbytes(48)).decode() for _ in range(4)]
			add("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\tbh=%s;"
				"\r\n\th=From:To:Subject:Date; b=%s" %
				(base64.b64encode(r.randbytes(32)).decode(), "\r\n\t ".join(lines)))
		add("From: " + self.address())
		recipients = r.choice([1, 1, 1, 2, 3, 300 if r.random() < .02 else 5])
		add("To: " + ",\r\n\t".join(self.address() for _ in range(recipients)))
		self.thread = self.i - self.i % r.choice([1, 1, 1, 5, 20, 100])
		subject = " ".join(r.choices(WORDS, k=r.randint(1, 9))).capitalize()
		if r.random() < .15:
			subject = "Grüße: " + subject + " – 日本"
		if self.thread != self.i:
			subject = "Re: thread %d %s" % (self.thread, subject[:20])
		raw = r.random() < .02
		add("Subject: " + (subject.encode().decode("latin1") if raw else encoded_word(subject)))
		add("Date: " + self.date_text(r.random()))

	def date_text(self, x):
		if x < .95:
			return formatdate(self.date)
		if x < .97:
			return formatdate(self.date)[5:]
		if x < .98:
			return "Thu, 32 Foo 20x9 25:61:00 +9999"
		return time.strftime("%a, %d %b %y %H:%M:%S EST", time.gmtime(self.date))

	def make_message_id(self):
		i, x, add = self.i, self.r.random(), self.headers.append
		self.message_id = mid = self.id_of(i)
		if x < .96:
			add("Message-ID: " + mid)
		elif x < .97:
			self.message_id = ""
		elif x < .98:
			self.message_id = self.id_of(i // 100 * 100)	# another message's
			add("Message-ID: " + self.message_id)
		elif x < .985:
			add("message-id:\r\n  " + mid)
		elif x < .99:
			self.message_id = "<>"
			add("Message-ID: <>")
		elif x < .993:
			add("Message-ID: " + mid)
			add("Message-ID: " + self.id_of(i + 1))
		elif x < .996:
			self.message_id = "<spaces in %d id@x>" % i
			add("Message-ID: " + self.message_id)
		else:
			self.message_id = "no-brackets-%d" % i
			add("Message-ID: " + self.message_id)

	def make_rest_of_headers(self):
		r, i, add = self.r, self.i, self.headers.append
		if self.thread != i:
			n = min(60 if r.random() < .1 else 6, i - self.thread)
			chain = [self.thread] + [i - q for q in range(n, 0, -1)]
			add("In-Reply-To: " + self.id_of(self.thread))
			add("References: " + "\r\n ".join(self.id_of(k) for k in chain))
		if r.random() < .02:
			add("X-Long: " + "y" * r.choice([998, 2000, 9000]))
		if r.random() < .1:
			self.headers += ["List-Id: <dev.lists.example.net>", "Precedence: bulk"]
		add("MIME-Version: 1.0")

	def multipart(self, kind, parts, extra=""):
		r = self.r
		edge = r.choice(["=_%08x", "----=_Part_%d_", "--b%x", "=-%x-+'()_,./:=?"]) % r.getrandbits(32)
		preamble = b"This is a multi-part message in MIME format.\r\n" if r.random() < .3 else b""
		edges = b"".join(b"--" + edge.encode() + b"\r\n" + p + b"\r\n" for p in parts)
		return ('multipart/%s; boundary="%s"%s' % (kind, edge, extra),
			preamble + edges + b"--" + edge.encode() + b"--\r\n")

	def attachment(self, size):
		r = self.r
		end = r.choice(["pdf", "jpg", "zip", "docx", "png"])
		name = r.choice(["report", "IMG_%04d" % r.randrange(9999), "été", "very long file name " * 4])
		percent = "".join("%%%02X" % c for c in name.encode())
		return part('application/octet-stream; name="%s.%s"' % (encoded_word(name), end),
			self.pool.attachment(r, size), "Content-Transfer-Encoding: base64",
			"Content-Disposition: attachment;\r\n filename*=utf-8''%s.%s" % (percent, end))

	def make_body(self):
		"""The kind of body, by how often it is seen."""
		r, small = self.r, self.opt.small
		text = self.pool.text(r)
		wide = "".join(r.choices(self.pool.wide, k=r.randint(1, 12)))
		x = r.random()
		if x < .35:
			return "text/plain; charset=us-ascii", text.encode()
		if x < .50:
			self.headers.append("Content-Transfer-Encoding: 8bit")
			if x < .45:
				return "text/plain; charset=utf-8", wide.encode()
			return "text/plain; charset=iso-8859-1", wide.encode("latin1", "replace")
		if x < .75:
			return self.alternative(text, wide)
		intro = part("text/plain", cut(text, 3000))
		if x < .85:
			size = r.randint(3000, 18000) if small else int(r.lognormvariate(10.3, .6))
			return self.multipart("mixed", [intro, self.attachment(size)])
		if x < .92:
			n = r.choice([1, 2, 3])
			sizes = [r.randint(3000, 15000) if small else r.randint(50000, 500000) // n
				for _ in range(n)]
			return self.multipart("mixed", [intro, *map(self.attachment, sizes)])
		if x < .922:
			size = 20000 if small else r.randint(1500000, 7500000)
			return self.multipart("mixed", [intro, self.attachment(size)])
		if x < .96:
			return self.nested(text)
		return self.rare(x, text)

	def alternative(self, text, wide):
		html = "<html><body><p>" + cut(wide, 3000) + "</p></body></html>"
		html = quopri.encodestring(html.encode()).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
		return self.multipart("alternative", [
			part("text/plain; charset=utf-8", text if self.r.random() < .7 else wide,
				"Content-Transfer-Encoding: 8bit"),
			part("text/html; charset=utf-8", html, "Content-Transfer-Encoding: quoted-printable")])

	def nested(self, text):
		inner = part("text/plain", cut(text, 2000), "From: in@example.org", "Subject: inner",
			"Message-ID: " + self.id_of(self.i + 5))
		for depth in range(self.r.randint(1, 6)):
			kind, body = self.multipart("mixed", [part("text/plain", "see below\r\n"),
				part("message/rfc822", inner, "Content-Disposition: inline")])
			inner = part(kind, body, "From: fwd%d@example.org" % depth, "Subject: Fwd: %d" % depth,
				"MIME-Version: 1.0")
		return kind, body

	def rare(self, x, text):
		short = part("text/plain", cut(text, 2000))
		if x < .975:
			inner = part(*self.multipart("alternative",
				[short, part("text/html", '<img src="cid:a@x">')]))
			image = part("image/png", self.pool.attachment(self.r, 4000),
				"Content-Transfer-Encoding: base64", "Content-ID: <a@x>")
			return self.multipart("mixed", [part(*self.multipart("related", [inner, image])),
				part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")])
		if x < .985:
			return self.multipart("signed", [short, part("application/pgp-signature",
				"-----BEGIN PGP SIGNATURE-----\r\n\r\niQ\r\n-----END PGP SIGNATURE-----\r\n")],
				'; micalg=pgp-sha256; protocol="application/pgp-signature"')
		if x < .99:
			return self.multipart("report", [part("text/plain", "failed\r\n"),
				part("message/delivery-status", "Reporting-MTA: dns; x\r\n\r\n"
					"Final-Recipient: rfc822; y@z\r\nAction: failed\r\n"),
				part("text/rfc822-headers", "Subject: s\r\n")], "; report-type=delivery-status")
		if x < .995:
			return 'text/plain; format=flowed; charset="utf-8"', b""
		return ("text/plain",
			b"no newline at the end, From line:\r\nFrom me to you\r\n.\r\n..dots\r\nlast")

	def spoil(self, head):
		x = self.r.random()
		if x < .01:
			self.raw += b"nul \0 here\r\n"
		elif x < .015:
			self.raw += b"bare cr \r here\r\n"
		elif x < .02:
			self.raw += b"cr cr lf\r\r\n"
		elif x < .03:
			self.raw += b"z" * 100000 + b"\r\n"
		elif x < .035:
			self.raw = head + b"\r\n"	# no body, no empty line
		elif x < .04:
			self.raw = b"no colon in this header\r\n" + self.raw

	def make_place(self):
		r = self.r
		self.flags = {f for f, chance in (("S", .85), ("R", .15), ("F", .04)) if r.random() < chance}
		self.keywords = [k for k, chance in KEYWORDS.items() if r.random() < chance]
		names, weights = zip(*self.opt.folder_list)
		self.folder = r.choices(names, weights)[0]
		if self.folder == "Trash" and r.random() < .1:
			self.flags.add("T")
		if self.folder == "Entwürfe":
			self.flags.add("D")
		self.date += r.randrange(60)


class Maildir:
	def __init__(self, root, owner):
		self.root, self.owner = root, owner

	def path(self, folder):
		if folder == "INBOX":
			return self.root
		return os.path.join(self.root, "." + ".".join(map(modified_utf7, folder.split("/"))))

	def create(self, folders):
		made = {os.path.dirname(self.root), self.root}
		for path in map(self.path, folders):
			for sub in ("cur", "new", "tmp"):
				os.makedirs(os.path.join(path, sub), exist_ok=True)
				made.add(os.path.join(path, sub))
			with open(os.path.join(path, "dovecot-keywords"), "w") as f:
				f.writelines("%d %s\n" % pair for pair in enumerate(KEYWORDS))
			made |= {path, f.name}
			if path != self.root:
				marker = os.path.join(path, "maildirfolder")
				open(marker, "w").close()
				made.add(marker)
		for path in made if self.owner else ():
			os.chown(path, *self.owner)

	def deliver(self, m, seed):
		body = m.file
		crlf_size = len(body) + body.count(b"\n") - body.count(b"\r\n")
		letters = sorted(m.flags) + sorted(chr(97 + list(KEYWORDS).index(k)) for k in m.keywords)
		name = "%d.M%06dP%d.gen,S=%d,W=%d:2,%s" % (m.date, m.i % 1000000, seed, len(body), crlf_size,
			"".join(letters))
		path = os.path.join(self.path(m.folder), "cur", name)
		with open(path, "wb", 0) as f:
			f.write(body)
			if self.owner:
				os.fchown(f.fileno(), *self.owner)
			os.utime(f.fileno(), (m.date, m.date))
		return name


def manifest_line(m, name):
	sent = m.as_sent()
	return json.dumps({"i": m.i, "folder": m.folder, "mailbox": modified_utf7(m.folder),
		"flags": [FLAGS[f] for f in sorted(m.flags)] + m.keywords, "date": m.date,
		"size": len(sent), "sha256": hashlib.sha256(sent).hexdigest(),
		"message_id": m.message_id, "file": name}, ensure_ascii=False) + "\n"


def work(job, opt, pool, maildir):
	"""Every opt.jobs-th message. Answers with their bytes."""
	manifest = open("%s.%d" % (opt.manifest, job), "w") if opt.manifest else None
	total = 0
	for i in range(job, opt.n, opt.jobs):
		m = Message(i, opt, pool)
		name = maildir.deliver(m, opt.seed)
		total += len(m.raw)
		if manifest:
			manifest.write(manifest_line(m, name))
	if manifest:
		manifest.close()
	return total


def run_jobs(opt, pool, maildir):
	pipes = []
	for job in range(opt.jobs):
		reader, writer = os.pipe()
		if os.fork() == 0:
			status = 1
			try:
				os.write(writer, b"%d" % work(job, opt, pool, maildir))
				status = 0
			finally:
				os._exit(status)
		os.close(writer)
		pipes.append(reader)
	totals = [os.read(p, 50) for p in pipes]
	failed = [os.wait()[1] for _ in pipes]
	if any(failed):
		raise SystemExit("genmail.py: a job failed")
	return sum(map(int, totals))


def join_manifests(opt):
	lines = []
	for job in range(opt.jobs):
		name = "%s.%d" % (opt.manifest, job)
		with open(name) as f:
			lines += f.readlines()
		os.unlink(name)
	lines.sort(key=lambda line: json.loads(line)["i"])
	with open(opt.manifest, "w") as f:
		f.writelines(lines)


def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	add = parser.add_argument
	add("-n", type=int, default=1000, help="how many messages")
	add("--seed", type=int, default=1)
	add("--jobs", type=int, default=2, help="processes")
	add("--small", action="store_true", help="no large attachments")
	add("--hostile", action="store_true", help="also what no mail should hold")
	add("--folders", type=int, default=12, help="how many; from the 17th on plain names")
	add("--maildir", required=True, metavar="DIR")
	add("--owner", metavar="UID:GID", help="who is to own the files")
	add("--manifest", metavar="FILE", help="a JSON object a message; size and sha256 are those of BODY[]")
	opt = parser.parse_args()
	opt.folder_list = FOLDERS[:max(1, opt.folders)]
	opt.folder_list += [("Many/box-%03d" % k, 1) for k in range(len(FOLDERS), opt.folders)]
	owner = tuple(map(int, opt.owner.split(":"))) if opt.owner else None
	maildir = Maildir(os.path.abspath(opt.maildir), owner)
	maildir.create([name for name, _ in opt.folder_list])
	started = time.time()
	total = run_jobs(opt, Pool(opt.seed), maildir)
	if opt.manifest:
		join_manifests(opt)
	print("%d messages, %.1f MB, %.1f s" % (opt.n, total / 1e6, time.time() - started))


main()
