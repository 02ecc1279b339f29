using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

/// <summary>
/// What a program does with this API to get a checkpoint's own ids: the three kinds of tokenizer file of LLaMA models.
/// All of them end in a <see cref="BpeTokenizer"/>, whose merging is Hugging Face's. (<see cref="LlamaTokenizer"/> joins
/// the last of several equal pairs first, so it differs from SentencePiece on runs like "-----=====".)
/// </summary>
internal sealed class CheckpointTokenizer
{
    private readonly BpeTokenizer bpe;
    private readonly Dictionary<string, int> addedTokens;
    private readonly Regex? addedTokensExpression;
    private readonly Dictionary<int, byte[]> bytesOf = [];
    private readonly Func<string, string> normalize;
    private readonly Func<string, string> tidy;
    private readonly int? unknownId;
    private readonly int[]? byteIds;

    private CheckpointTokenizer(BpeOptions options, Dictionary<string, int> addedTokens, Func<string, string> normalize, Func<string, string> tidy, int[]? byteIds)
    {
        bpe = BpeTokenizer.Create(options);
        (this.addedTokens, this.normalize, this.tidy, this.byteIds) = (addedTokens, normalize, tidy, byteIds);
        if (options.UnknownToken is not null)
            unknownId = bpe.Vocabulary[options.UnknownToken];
        if (addedTokens.Count > 0)
            addedTokensExpression = new Regex(string.Join('|', addedTokens.Keys.OrderByDescending(token => token.Length).Select(Regex.Escape)), RegexOptions.Compiled);
        foreach (var (token, id) in bpe.Vocabulary)
            bytesOf[id] = options.ByteLevel ? ByteLevelBytes(token) : Encoding.UTF8.GetBytes(token.Replace('▁', ' '));
        for (var value = 0; value < byteIds?.Length; value++)
            bytesOf[byteIds[value]] = [(byte)value];
        foreach (var (token, id) in addedTokens)
            bytesOf[id] = Encoding.UTF8.GetBytes(token);
    }

    /// <summary>tokenizer.json of either kind.</summary>
    public static CheckpointTokenizer FromJson(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var root = document.RootElement;
        var model = root.GetProperty("model");
        var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(token => token.Name, token => token.Value.GetInt32());
        var merges = model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!).ToList();
        var added = root.GetProperty("added_tokens").EnumerateArray()
            .ToDictionary(token => token.GetProperty("content").GetString()!, token => token.GetProperty("id").GetInt32());
        if (model.TryGetProperty("byte_fallback", out var fallback) && fallback.GetBoolean())
            return SentencePieceLike(vocabulary, merges, model.GetProperty("unk_token").GetString()!, added, text => "▁" + text, WithoutFirstSpace);
        var split = root.GetProperty("pre_tokenizer").GetProperty("pretokenizers")[0].GetProperty("pattern").GetProperty("Regex").GetString()!;
        return ByteLevel(vocabulary, merges, split, added, model.GetProperty("ignore_merges").GetBoolean());
    }

    /// <summary>tokenizer.model of type BPE.</summary>
    public static CheckpointTokenizer FromModel(byte[] file)
    {
        var model = ModelFile.Read(file);
        var pieces = model.Pieces.Select((piece, id) => (piece.Text, piece.Score, piece.Type, Id: id)).ToList();
        var scores = pieces.Where(piece => piece.Type is 1 or 4).ToDictionary(piece => piece.Text, piece => piece.Score);
        var merges = scores.SelectMany(token => Enumerable.Range(1, token.Key.Length - 1).Select(cut => (Left: token.Key[..cut], Right: token.Key[cut..], Score: token.Value)))
            .Where(pair => scores.ContainsKey(pair.Left) && scores.ContainsKey(pair.Right))
            .OrderByDescending(pair => pair.Score).Select(pair => $"{pair.Left} {pair.Right}").ToList();
        return SentencePieceLike(
            pieces.ToDictionary(piece => piece.Text, piece => piece.Id), merges, pieces[model.UnknownId].Text, [], Normalize,
            model.RemoveExtraWhitespaces ? text => text.TrimStart(' ') : model.AddDummyPrefix ? WithoutFirstSpace : text => text);

        string Normalize(string text)
        {
            if (model.RemoveExtraWhitespaces)
                text = Regex.Replace(text.TrimStart(' '), " +", " ");
            var normalized = text.Length > 0 && model.AddDummyPrefix ? "▁" + text.Replace(' ', '▁') : text.Replace(' ', '▁');
            return model.RemoveExtraWhitespaces ? normalized.TrimEnd('▁') : normalized;
        }
    }

    public List<int> Encode(string text)
    {
        var ids = new List<int>();
        var start = 0;
        foreach (var match in addedTokensExpression?.Matches(text) ?? Enumerable.Empty<Match>())
        {
            AddIds(text[start..match.Index], ids);
            ids.Add(addedTokens[match.Value]);
            start = match.Index + match.Length;
        }
        AddIds(text[start..], ids);
        return ids;
    }

    public string Decode(IEnumerable<int> ids) => tidy(Encoding.UTF8.GetString([.. ids.SelectMany(id => bytesOf[id])]));

    private void AddIds(string text, List<int> ids)
    {
        if (text.Length == 0)
            return;
        var normalized = normalize(text);
        var found = bpe.EncodeToIds(normalized);
        if (byteIds is null || !found.Contains(unknownId!.Value))
        {
            ids.AddRange(found);
            return;
        }
        foreach (var token in bpe.EncodeToTokens(normalized, out _))
            if (token.Id != unknownId)
                ids.Add(token.Id);
            else
                ids.AddRange(Encoding.UTF8.GetBytes(normalized[token.Offset]).Select(value => byteIds[value]));
    }

    private static CheckpointTokenizer SentencePieceLike(Dictionary<string, int> vocabulary, List<string> merges, string unknown, Dictionary<string, int> added, Func<string, string> normalize, Func<string, string> tidy)
    {
        var bytes = Enumerable.Range(0, 256).Select(value => vocabulary.GetValueOrDefault($"<0x{value:X2}>", -1)).ToArray();
        var options = new BpeOptions(vocabulary) { Merges = merges, UnknownToken = unknown, PreTokenizer = new SeparableWords(vocabulary.Keys) };
        return new CheckpointTokenizer(options, added, text => normalize(text).Replace(' ', '▁'), tidy, bytes.Contains(-1) ? null : bytes);
    }

    // ignore_merges: a word that is a token is that token. BpeTokenizer knows no such switch, but takes special tokens so.
    private static CheckpointTokenizer ByteLevel(Dictionary<string, int> vocabulary, List<string> merges, string split, Dictionary<string, int> added, bool ignoreMerges)
    {
        var whole = new Dictionary<string, int>();
        foreach (var (token, id) in ignoreMerges ? vocabulary : [])
        {
            // A token that cuts a character in two is no word.
            var bytes = ByteLevelBytes(token);
            var text = Encoding.UTF8.GetString(bytes);
            if (Encoding.UTF8.GetBytes(text).AsSpan().SequenceEqual(bytes))
                whole.Add(text, id);
        }
        var options = new BpeOptions(vocabulary)
        {
            Merges = merges,
            ByteLevel = true,
            SpecialTokens = whole,
            PreTokenizer = new RegexPreTokenizer(new Regex(split, RegexOptions.Compiled), null),
        };
        return new CheckpointTokenizer(options, added, text => text, text => text, null);
    }

    private static string WithoutFirstSpace(string text) => text.StartsWith(' ') ? text[1..] : text;

    private static byte[] ByteLevelBytes(string token) => [.. token.Select(letter => ByteOf[letter])];

    private static readonly Dictionary<char, byte> ByteOf = MakeByteOf();

    private static Dictionary<char, byte> MakeByteOf()
    {
        var others = 0;
        return Enumerable.Range(0, 256).ToDictionary(
            value => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : (char)(256 + others++),
            value => (byte)value);
    }
}

/// <summary>
/// Cuts wherever no token can reach across, because none has these two characters side by side: after a word and before
/// its following space, in most vocabularies. The ids are those of the whole text at once; the package needs them short,
/// as the time it takes for a word grows with the square of its length.
/// </summary>
internal sealed class SeparableWords(IEnumerable<string> tokens) : PreTokenizer
{
    private readonly HashSet<int> neighbours = [.. tokens.SelectMany(token => Enumerable.Range(1, Math.Max(0, token.Length - 1)).Select(i => Pair(token[i - 1], token[i])))];

    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        var start = 0;
        for (var i = 1; i < text.Length; i++)
            if (!neighbours.Contains(Pair(text[i - 1], text[i])) && !char.IsSurrogatePair(text[i - 1], text[i]))
            {
                yield return (start, i - start);
                start = i;
            }
        if (start < text.Length)
            yield return (start, text.Length - start);
    }

    private static int Pair(char left, char right) => left << 16 | right;
}
