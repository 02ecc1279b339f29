using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Runs;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace CutoffLen.Soak.Files;

/// <summary>Documents of a .txt or .jsonl file: the texts must be those that a plain reading of the file gives.</summary>
internal sealed class DocumentsKind(string name, DataFormat format) : DamagedKind(name, format == DataFormat.Text ? "data.txt" : "data.jsonl")
{
    private const string Text = "Call me Ishmael. Some years ago\u2014never mind how long precisely\u2014caf\u00E9 \u9CB8 \U0001F600\r\nhaving little\nor no money. ";

    public override void Prepare(TemporaryFolder folder) => folder.Write(FileName, format == DataFormat.Text
        ? string.Concat(Enumerable.Repeat(Text, 20))
        : string.Join('\n', Enumerable.Range(0, 12).Select(n => JsonSerializer.Serialize(new { id = n, text = $"{n} {Text}", meta = new { source = "a", text = 1 } }))));

    public override DamagedFile Damaged(byte[] original, Damage damage) =>
        format == DataFormat.Text ? damage.Binary(original) : damage.JsonLines(original);

    public override Meaning Read(TemporaryFolder folder) => Meaning.Of(string.Concat(
        Documents.Read([new DataFile(folder[FileName], format)]).Select(piece => (piece.Begins ? "\0" : "") + piece.Text)));

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        string whole;
        try
        {
            var start = damaged.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
            whole = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(damaged.AsSpan(start));
        }
        catch (DecoderFallbackException fault)
        {
            throw new FormatException(fault.Message, fault);
        }

        var texts = format == DataFormat.Text
            ? [whole.Replace("\r\n", "\n")]
            : whole.Split('\n').Where(line => line.Trim(' ', '\t', '\r').Length > 0).Select(line =>
                TextOf(line));
        return Meaning.Of(string.Concat(texts.Select(text => "\0" + text))).DifferenceFrom(found);
    }

    private static string TextOf(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.EnumerateObject().Where(property => property.NameEquals("text")).ToList() is [var text]
                ? text.Value.GetString() ?? throw new FormatException("a text that is null")
                : throw new FormatException("not one text");
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            throw new FormatException(fault.Message, fault);
        }
    }
}

/// <summary>
/// Compressed lines. Both formats have checksums, so what is read is what was written. One in eight is whole, with a member of no
/// bytes behind it.
/// </summary>
internal sealed class CompressedKind(DataCompression compression)
    : DamagedKind(compression == DataCompression.Gzip ? "gzip" : "zstandard", compression == DataCompression.Gzip ? "data.jsonl.gz" : "data.jsonl.zst")
{
    public override void Prepare(TemporaryFolder folder)
    {
        var lines = string.Join('\n', Enumerable.Range(0, 40).Select(n => JsonSerializer.Serialize(new { text = $"line {n * n}" })));
        File.WriteAllBytes(folder[FileName], Compressed(Encoding.UTF8.GetBytes(lines)));
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) =>
        damage.Choose(8) == 0 ? new([.. original, .. Compressed([])]) : damage.Binary(original);

    public override Meaning Read(TemporaryFolder folder) =>
        Meaning.Of(string.Join('\n', Documents.Read(DataFiles.Find([folder[FileName]])).Select(piece => piece.Text)));

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) => original.DifferenceFrom(found);

    private byte[] Compressed(byte[] bytes)
    {
        using var file = new MemoryStream();
        using (Stream stream = compression == DataCompression.Gzip ? new GZipStream(file, CompressionLevel.Fastest) : Checked(file))
        {
            stream.Write(bytes);
            stream.Flush();
        }

        return file.ToArray();
    }

    private static CompressionStream Checked(Stream file)
    {
        var stream = new CompressionStream(file);
        stream.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        return stream;
    }
}

/// <summary>
/// A token cache. Its checksums must find every damage, so what opens is what was written. One in four has its checksums made
/// to fit, as only a forger would: then nothing is compared, but reading must stay inside the file.
/// </summary>
internal sealed class TokensKind() : DamagedKind("tokens", "data.tokens")
{
    private readonly byte[] key = [.. Enumerable.Range(0, 32).Select(n => (byte)n)];
    private bool isForged;

    public override void Prepare(TemporaryFolder folder)
    {
        using var writer = new TokenCacheWriter(folder[FileName], 600);
        for (var document = 0; document < 20; document++)
        {
            writer.Add([.. Enumerable.Range(document, 10 * document % 70)]);
            writer.EndDocument(file: 0, line: document + 1, words: document, bytes: 3 * document, prompt: document % 2);
        }

        writer.Commit(key);
    }

    public override DamagedFile Damaged(byte[] original, Damage damage)
    {
        var (bytes, _) = damage.Binary(original);
        isForged = damage.Choose(4) == 0 && bytes.Length >= TokenCacheHeader.Size;
        return new(isForged ? Sealed(bytes) : bytes);
    }

    public override Meaning Read(TemporaryFolder folder)
    {
        using var cache = TokenCache.TryOpen(folder[FileName], key, [new DataFile("data.txt", DataFormat.Text)])
            ?? throw new UserException($"{folder[FileName]} is damaged and is made anew");
        var text = new StringBuilder($"{cache.Documents} {cache.Tokens} {cache.EmptyDocuments}");
        for (var document = 0; document < cache.Documents; document++)
        {
            var tokens = new int[cache.Length(document)];
            cache.Read(document, 0, tokens);
            text.Append(CultureInfo.InvariantCulture, $"\n{cache.Describe(document)} {cache.Start(document)} {cache.Words(document)} {cache.Bytes(document)}: {string.Join(' ', tokens)}");
        }

        return Meaning.Of(text.ToString());
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) => isForged ? null : original.DifferenceFrom(found);

    private static byte[] Sealed(byte[] bytes)
    {
        var header = bytes.AsSpan(0, TokenCacheHeader.Size);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(header[72..], Crc32C.Of(bytes.AsSpan(TokenCacheHeader.Size)));
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(header[^4..], Crc32C.Of(header[..^4]));
        return bytes;
    }
}

/// <summary>The YAML file of a run. A key that was read has the value that YamlDotNet's own deserializer gives.</summary>
internal sealed class YamlKind() : DamagedKind("yaml", "run.yaml")
{
    private static readonly Dictionary<string, string> Defaults = Lines(RunConfigWriter.ToYaml(new RunConfig()));

    public override void Prepare(TemporaryFolder folder) => folder.Write(FileName, """
        model: models/tiny
        data: [texts, "more/*.jsonl"]
        cutoff_len: 8k
        rope: yarn:factor=4,original=2048
        method: lora
        lora_r: 16
        lora_target_modules: [q_proj, v_proj]
        learning_rate: 2.0e-4
        max_steps: 100
        warmup_steps: 10
        weight_decay: 0.1
        use_rslora: true
        lengths: [1k, 2048, 4096]
        seed: 7
        output_dir: runs/a
        dtype: fp32
        """);

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Yaml(original);

    public override Meaning Read(TemporaryFolder folder) => Meaning.Of(RunConfigWriter.ToYaml(RunConfigReader.Resolve(folder[FileName]).Config));

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        Dictionary<string, object?> given;
        try
        {
            using var reader = new StreamReader(new MemoryStream(damaged), new UTF8Encoding(false, throwOnInvalidBytes: true));
            given = new DeserializerBuilder().WithDuplicateKeyChecking().Build().Deserialize<Dictionary<string, object?>?>(reader.ReadToEnd()) ?? [];
        }
        catch (Exception fault) when (fault is YamlException or DecoderFallbackException or InvalidCastException or ArgumentException)
        {
            throw new FormatException(fault.Message, fault);
        }

        var values = Lines(found.Text);
        if (given.Keys.FirstOrDefault(key => !values.ContainsKey(key.Replace('-', '_'))) is { } unknown)
        {
            return $"the key '{unknown}' was passed over";
        }

        foreach (var (key, value) in values)
        {
            var isGiven = given.TryGetValue(key, out var written) || given.TryGetValue(key.Replace('_', '-'), out written);
            if (!(isGiven ? Same(written, value) || (key == "lengths" && SameSet(written, value)) : value == Defaults[key]))
            {
                return $"{key} is {value}, but the file says {(isGiven ? written : "nothing")}";
            }
        }

        return null;
    }

    // What is wrong with values together names the keys, which the command line may have given too.
    public override bool IsNamed(string refusal) => base.IsNamed(refusal) || ConfigKeys.All.Any(key => refusal.Contains($"{key.Name}: ", StringComparison.Ordinal));

    private static Dictionary<string, string> Lines(string yaml) => yaml.Split('\n').Where(line => line.Contains(": ") && line[0] != '#')
        .Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1]);

    private static bool Same(object? written, string value) => written switch
    {
        null => value == "null",
        List<object?> list => value.Trim('[', ']').Split(", ", StringSplitOptions.RemoveEmptyEntries) is var items && items.Length == list.Count && items.Zip(list).All(pair => Same(pair.Second, pair.First)),
        Dictionary<object, object> => false,
        // A list may be written as its only item. A tag such as !!int makes YamlDotNet give a number.
        _ when Convert.ToString(written, CultureInfo.InvariantCulture) is { } text => value.StartsWith('[') && value.EndsWith(']') ? Same(text, value[1..^1]) : SameText(text, value),
        _ => false,
    };

    /// <summary>Lengths are sorted, and each is measured once.</summary>
    private static bool SameSet(object? written, string value) => written is List<object?> list && value.Trim('[', ']').Split(", ") is var items
        && items.All(item => list.Any(one => Same(one, item))) && list.All(one => items.Any(item => Same(one, item)));

    private static bool SameText(string written, string value)
    {
        var found = value.StartsWith('"') ? JsonSerializer.Deserialize<string>(value)! : value;
        return written.Contains("..") || written == found || string.Equals(written.Trim(), found, StringComparison.OrdinalIgnoreCase)
            || (Number(written) is { } one && one == Number(found))
            || (written.EndsWith('k') && Number(written[..^1]) * 1024 == Number(found))
            || (value == "null" && written is "" or "~" or "null");
    }

    private static double? Number(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;
}

/// <summary>training_state.json of a checkpoint, read when a run is resumed.</summary>
internal sealed class TrainingStateKind() : DamagedKind("training_state", "training_state.json")
{
    public override void Prepare(TemporaryFolder folder) => folder.Write(FileName, """
        {"step":240,"settings":{"seed":"42","learning_rate":"2.0e-04","attention":"sdpa"},"machine":{"threads":"1"},
        "trained":{"sequences":10,"targets":990,"beyond_native":500,"positions":[{"from":0,"to":64,"tokens":490},{"from":64,"to":96,"tokens":500}]}}
        """);

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original, mayBegin: false);

    public override Meaning Read(TemporaryFolder folder)
    {
        var state = TrainingState.Read(folder.Root);
        var (sequences, targets, beyond, positions) = state.Trained;
        return Meaning.Of($"{state.Step} {Sorted(state.Settings)} {Sorted(state.Machine)} {sequences} {targets} {beyond} {string.Join(' ', positions.Select(p => $"{p.From} {p.To} {p.Tokens}"))}");
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        var json = PlainReaders.Json(damaged);
        string Texts(string key) => Sorted(json[key]!.AsObject().ToDictionary(pair => pair.Key, pair => (string)pair.Value!));
        string Numbers(JsonNode? of, params string[] keys) => string.Join(' ', keys.Select(key => of?[key]?.ToJsonString()));
        var trained = json["trained"];
        var positions = trained!["positions"]!.AsArray().Select(position => Numbers(position, "from", "to", "tokens"));
        return Meaning.Of($"{Numbers(json, "step")} {Texts("settings")} {Texts("machine")} {Numbers(trained, "sequences", "targets", "beyond_native")} {string.Join(' ', positions)}").DifferenceFrom(found);
    }

    private static string Sorted(IReadOnlyDictionary<string, string> pairs) =>
        string.Join(',', pairs.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
}
