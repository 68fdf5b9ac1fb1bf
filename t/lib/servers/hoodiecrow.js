// hoodiecrow.js MODULES: hoodiecrow-imap on loopback, in memory; prints its port. The user is "ana" with
// the password "pass". MODULES is where npm has put it.
//
//	ONLY=ID,IDLE	only these extensions
//	UIDVALIDITY=7	of INBOX and of what is created
'use strict';
const path = require('path');
const hoodiecrow = require(path.resolve(process.argv[2], 'hoodiecrow-imap'));
const all = 'ID,SASL-IR,AUTH-PLAIN,NAMESPACE,IDLE,ENABLE,CONDSTORE,LITERALPLUS,UNSELECT,SPECIAL-USE,' +
	'CREATE-SPECIAL-USE,MOVE,UIDPLUS';

const server = hoodiecrow({
	plugins: (process.env.ONLY === undefined ? all : process.env.ONLY).split(',').filter(Boolean),
	id: { name: 'hoodiecrow' },
	users: { ana: { password: 'pass' } },
	storage: {
		INBOX: { uidvalidity: +process.env.UIDVALIDITY || 1, messages: [] },
		'': { separator: '/', folders: {
			Sent: { 'special-use': '\\Sent' },
			Trash: { 'special-use': '\\Trash' }
		} }
	}
});
// Its own listen() opens all addresses.
server.server.listen(0, '127.0.0.1', () => console.log(server.server.address().port));
