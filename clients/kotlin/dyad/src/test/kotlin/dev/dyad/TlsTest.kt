package dev.dyad

import io.grpc.TlsChannelCredentials
import java.nio.file.Path
import java.security.KeyStore
import java.util.Base64
import java.util.concurrent.TimeUnit
import kotlin.io.path.createFile
import kotlin.io.path.pathString
import kotlin.io.path.writeText
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

private const val PASSWORD = "no secret"

internal class TlsTest {
    @TempDir private lateinit var folder: Path
    private lateinit var certificate: Path
    private lateinit var server: Server

    @BeforeEach
    fun serve() {
        certificate = folder.resolve("certificate.pem").createFile()
        val key = folder.resolve("key.pem").createFile()
        certify(certificate, key)
        server = Server("--tls-cert", certificate.pathString, "--tls-key", key.pathString)
    }

    @AfterEach
    fun stop() {
        if (::server.isInitialized) server.close()
    }

    @Test
    fun `the client connects to a server whose certificate is trusted`() = test {
        val trusting = TlsChannelCredentials.newBuilder().trustManager(certificate.toFile()).build()
        val token = server.token("alice")
        val alice = Dyad.connect("localhost:${server.port}", this, trusting) { token }
        alice.create()
        alice.leave()
        alice.close()
    }

    @Test
    fun `by default the client does not connect to a server whose certificate is not trusted`() =
        test {
            val alice = Dyad.connect("localhost:${server.port}", this) { "token" }
            assertFailsWith<Unavailable> { alice.create() }
        }

    /** A certificate for localhost, signed by its own key. */
    private fun certify(certificate: Path, key: Path) {
        val store = folder.resolve("store.p12")
        val keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").pathString
        val process =
            ProcessBuilder(
                    listOf(keytool, "-genkeypair", "-keyalg", "EC", "-dname", "CN=localhost") +
                        listOf("-ext", "SAN=dns:localhost", "-alias", "server") +
                        listOf("-keystore", store.pathString, "-storepass", PASSWORD)
                )
                .redirectErrorStream(true)
                .start()
        val said = process.inputStream.bufferedReader().readText()
        process.waitFor(20, TimeUnit.SECONDS)
        assertEquals(0, process.exitValue(), said)
        val entries = KeyStore.getInstance(store.toFile(), PASSWORD.toCharArray())
        certificate.writeText(pem("CERTIFICATE", entries.getCertificate("server").encoded))
        key.writeText(pem("PRIVATE KEY", entries.getKey("server", PASSWORD.toCharArray()).encoded))
    }

    private fun pem(what: String, der: ByteArray): String {
        val lines = Base64.getMimeEncoder(64, "\n".toByteArray()).encodeToString(der)
        return "-----BEGIN $what-----\n$lines\n-----END $what-----\n"
    }
}
