// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test file operations of Node.js on many files at once, and data over a socket. All
 * results are compared with the expected ones.
 *
 * usage: node files.js DIR COUNT
 */
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const path = require('path');

const dir = process.argv[2], count = Number(process.argv[3]);

function content(i) {
	const seed = crypto.createHash('sha256').update(`file ${i}`).digest();
	return Buffer.concat(Array(1 + i % 97).fill(seed));
}

async function oneFile(i) {
	const name = path.join(dir, `file-${i}`), other = name + '.moved', link = name + '.link';
	const file = await fs.promises.open(name, 'wx+');
	const data = content(i);

	await file.write(data, 0, data.length, 0);
	await file.datasync();
	await file.sync();
	const back = Buffer.alloc(data.length);
	const { bytesRead } = await file.read(back, 0, back.length, 0);
	assert.strictEqual(bytesRead, data.length);
	assert(back.equals(data));
	const stat = await file.stat();
	assert.strictEqual(stat.size, data.length);
	await file.truncate(10);
	await file.close();
	assert.strictEqual((await fs.promises.stat(name)).size, 10);
	await fs.promises.rename(name, other);
	await fs.promises.symlink(other, link);
	assert.strictEqual((await fs.promises.lstat(link)).isSymbolicLink(), true);
	assert((await fs.promises.readFile(link)).equals(data.subarray(0, 10)));
	await fs.promises.appendFile(other, data);
	assert((await fs.promises.readFile(other)).equals(Buffer.concat([data.subarray(0, 10), data])));
	await fs.promises.unlink(link);
	await assert.rejects(fs.promises.readFile(link), { code: 'ENOENT' });
	await assert.rejects(fs.promises.mkdir(dir), { code: 'EEXIST' });
}

function conversation() {
	return new Promise((resolve, reject) => {
		const server = net.createServer((socket) => socket.pipe(socket));
		server.listen(path.join(dir, 'socket'), async () => {
			try {
				await Promise.all([...Array(20).keys()].map(oneClient));
				server.close(resolve);
			} catch (e) {
				reject(e);
			}
		});
	});
}

function oneClient(i) {
	return new Promise((resolve, reject) => {
		const data = content(96 - i), got = [];
		const socket = net.connect(path.join(dir, 'socket'), () => socket.end(data));
		socket.on('data', (d) => got.push(d));
		socket.on('error', reject);
		socket.on('end', () => {
			try {
				assert(Buffer.concat(got).equals(data));
				resolve();
			} catch (e) {
				reject(e);
			}
		});
	});
}

async function main() {
	fs.mkdirSync(dir);
	for (let i = 0; i < count; i += 100)
		await Promise.all([...Array(100).keys()].map((j) => oneFile(i + j)));
	await conversation();
	// Check the files with synchronous calls, which do not use the event loop.
	const names = fs.readdirSync(dir).filter((n) => n.startsWith('file-')).sort();
	assert.strictEqual(names.length, count);
	for (let i = 0; i < count; i++)
		assert(fs.readFileSync(path.join(dir, `file-${i}.moved`)).equals(
			Buffer.concat([content(i).subarray(0, 10), content(i)])));
	console.log(`${count} files are right`);
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
