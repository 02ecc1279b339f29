using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace CutoffLen.Tests;

/// <summary>
/// A hub of one repository on this machine that answers as Hugging Face's does: the listing of a revision; small files at once,
/// under the SHA-1 of their Git blob; large ones by a redirect to another host, under their SHA-256; ranges; errors by
/// X-Error-Code. Each connection serves one request.
/// </summary>
internal sealed class LocalHub : IDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly string page;
    private readonly string api;
    private readonly int port;

    /// <param name="name">org/name of its repository.</param>
    /// <param name="isDataset">Whether it is a data set, else a model.</param>
    public LocalHub(string name = "org/tiny", bool isDataset = false)
    {
        (page, api) = isDataset ? ($"/datasets/{name}", $"/api/datasets/{name}") : ($"/{name}", $"/api/models/{name}");
        Listing = () => JsonSerializer.SerializeToUtf8Bytes(new { id = "any", sha = Commit, siblings = Files.Keys.Select(file => new { rfilename = file }) });
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        _ = Task.Run(AcceptAsync);
    }

    /// <summary>Its address.</summary>
    public Uri Endpoint => new($"http://127.0.0.1:{port}/");

    /// <summary>The files, by path.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Files of so many bytes are large.</summary>
    public int LargeBytes { get; set; } = 1000;

    /// <summary>The token without which it answers 401; null for a public repository.</summary>
    public string? Token { get; set; }

    /// <summary>The X-Error-Code of refusals for want of the token.</summary>
    public string Refusal { get; set; } = "RepoNotFound";

    /// <summary>After how many bytes of a body each coming download breaks off; those behind the last are whole.</summary>
    public ConcurrentQueue<int> BreakAfter { get; } = new();

    /// <summary>Statuses that coming requests are answered with, before the usual.</summary>
    public ConcurrentQueue<int> Statuses { get; } = new();

    /// <summary>Whether it sends a part where one is asked for, else the whole file.</summary>
    public bool SendsParts { get; set; } = true;

    /// <summary>Changes the bytes that a download sends.</summary>
    public Func<byte[], byte[]> Altered { get; set; } = bytes => bytes;

    /// <summary>The listing of its revision.</summary>
    public Func<byte[]> Listing { get; set; }

    /// <summary>Done before each answer.</summary>
    public Action<string>? Before { get; set; }

    /// <summary>Every request: method, path, and the first byte of its range.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>The ETag of a content, unquoted.</summary>
    public string EtagOf(byte[] content)
    {
        using var hash = IncrementalHash.CreateHash(content.Length >= LargeBytes ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        hash.AppendData(content.Length >= LargeBytes ? [] : Encoding.ASCII.GetBytes($"blob {content.Length}\0"));
        hash.AppendData(content);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public void Dispose() => listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptTcpClientAsync();
                _ = Task.Run(() => Serve(client));
            }
        }
        catch (Exception fault) when (fault is SocketException or ObjectDisposedException)
        {
            // disposed
        }
    }

    private void Serve(TcpClient client)
    {
        using var _ = client;
        using var stream = client.GetStream();
        using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
        if (reader.ReadLine()?.Split(' ') is not [var method, var path, ..])
        {
            return;
        }

        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (reader.ReadLine() is { Length: > 0 } line)
        {
            headers[line.Split(':', 2)[0]] = line.Split(':', 2)[1].Trim();
        }

        var from = headers.TryGetValue("Range", out var range) ? int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
        Requests.Enqueue($"{method} {path}{(from > 0 ? $" from {from}" : "")}");
        Before?.Invoke(path);
        try
        {
            Answer(stream, method, path, headers.GetValueOrDefault("Authorization"), from);
        }
        catch (IOException)
        {
            // the other side left
        }
    }

    private void Answer(NetworkStream stream, string method, string path, string? authorization, int from)
    {
        if (Statuses.TryDequeue(out var status))
        {
            Send(stream, status, []);
        }
        else if (path.StartsWith("/cdn/", StringComparison.Ordinal))
        {
            // Signed addresses refuse a second authorization.
            var content = Files.Values.First(bytes => EtagOf(bytes) == path["/cdn/".Length..]);
            Body(stream, method, authorization is null ? 200 : 400, content, from);
        }
        else if (Token is not null && authorization != $"Bearer {Token}")
        {
            Send(stream, 401, [("X-Error-Code", Refusal)]);
        }
        else if (path.StartsWith($"{api}/revision/", StringComparison.Ordinal))
        {
            var isKnown = path[$"{api}/revision/".Length..] is "main" or "refs%2Fpr%2F1" or Commit;
            Send(stream, isKnown ? 200 : 404, isKnown ? [] : [("X-Error-Code", "RevisionNotFound")], Listing());
        }
        else if (path.StartsWith($"{page}/resolve/{Commit}/", StringComparison.Ordinal)
            && Files.TryGetValue(Uri.UnescapeDataString(path[$"{page}/resolve/{Commit}/".Length..]), out var content))
        {
            Resolve(stream, method, content, from);
        }
        else
        {
            Send(stream, 404, [("X-Error-Code", path.StartsWith(page, StringComparison.Ordinal) ? "EntryNotFound" : "RepoNotFound")]);
        }
    }

    private void Resolve(NetworkStream stream, string method, byte[] content, int from)
    {
        var etag = EtagOf(content);
        if (content.Length < LargeBytes)
        {
            Body(stream, method, 200, content, from, ("ETag", $"\"{etag}\""), ("X-Repo-Commit", Commit));
            return;
        }

        Send(stream, 302,
        [
            ("Location", $"http://localhost:{port}/cdn/{etag}"), ("X-Linked-Etag", $"\"{etag}\""), ("X-Linked-Size", $"{content.Length}"), ("X-Repo-Commit", Commit),
        ]);
    }

    private void Body(NetworkStream stream, string method, int status, byte[] content, int from, params (string, string)[] headers)
    {
        from = SendsParts ? from : 0;
        var body = method == "GET" ? Altered(content)[from..] : content;
        (string, string)[] all = from > 0 ? [.. headers, ("Content-Range", $"bytes {from}-{content.Length - 1}/{content.Length}")] : headers;
        var end = method == "GET" && BreakAfter.TryDequeue(out var most) ? Math.Min(most, body.Length) : body.Length;
        Send(stream, from > 0 ? 206 : status, all, method == "GET" ? body[..end] : [], body.Length);
    }

    private static void Send(NetworkStream stream, int status, (string Name, string Value)[] headers, byte[]? body = null, int? length = null)
    {
        var lines = headers.Select(header => $"{header.Name}: {header.Value}").Append($"Content-Length: {length ?? body?.Length ?? 0}").Append("Connection: close");
        stream.Write(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} {(HttpStatusCode)status}\r\n{string.Join("\r\n", lines)}\r\n\r\n"));
        stream.Write(body ?? []);
    }
}
