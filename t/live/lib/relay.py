"""A TCP relay that looks at what the client says.

	relay = Relay(port, from_client)	# .port

from_client(data) answers with what is passed on, or None: then both sides lose the connection."""
import socket
import struct
import threading


class Relay:
	def __init__(self, target, from_client):
		self.target, self.from_client = target, from_client
		self.listener = socket.create_server(("127.0.0.1", 0))
		self.port = self.listener.getsockname()[1]
		threading.Thread(target=self.accept, daemon=True).start()

	def end(self):
		try:
			self.listener.shutdown(socket.SHUT_RDWR)
		except OSError:
			pass	# ended before
		self.listener.close()

	def accept(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except OSError:
				return
			server = socket.create_connection(("127.0.0.1", self.target))
			for one in client, server:
				one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			threading.Thread(target=self.pass_on, args=(client, server, self.from_client), daemon=True).start()
			threading.Thread(target=self.pass_on, args=(server, client, lambda data: data), daemon=True).start()

	def pass_on(self, source, to, look):
		try:
			while data := source.recv(1 << 16):
				data = look(data)
				if data is None:
					source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
					break
				to.sendall(data)
		except OSError:
			pass
		for one in source, to:
			try:
				one.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass
