using System.Runtime.ExceptionServices;
using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Tokenization;

namespace CutoffLen.Data;

/// <summary>Turns documents into tokens on all cores, in batches of bounded size, and writes them in order.</summary>
/// <param name="encoder">The tokenizer.</param>
/// <param name="completionEnd">The token that ends a completion; null where none is added.</param>
/// <param name="totalBytes">Bytes of all files, for the progress.</param>
/// <param name="progress">Told after every batch.</param>
internal sealed partial class Tokenizing(ITextEncoder encoder, int? completionEnd, long totalBytes, IProgress<TokenizingProgress>? progress)
{
    private const int MostPieces = 8192;
    private const int ManyCharacters = 4 * TextPiece.LongPiece;

    // Where a document may be cut (TextPiece.CutPlace).
    private static readonly (string Before, string After)[] Cuts =
        [("a\n", "b"), ("Some words.\n\n", "2 more"), ("x = 1; \r\n", "Aé"), ("\t字。 \n", "中文 b"), ("\n\n\n", "c")];

    private readonly IReadOnlyList<int> lineFeed = encoder.Encode("\n");
    private bool? cutsChangeNothing;

    public void Write(IEnumerable<TextPiece> pieces, TokenCacheWriter writer, CancellationToken stop)
    {
        var (characters, spaces, bytes) = (0L, 0L, 0L);
        foreach (var batch in Batches(Whole(pieces)))
        {
            var encoded = EncodeAll(batch, stop);
            for (var i = 0; i < batch.Count; i++)
            {
                writer.Add(encoded[i].Ids);
                (spaces, bytes) = (spaces + encoded[i].Spaces, bytes + encoded[i].Bytes);
                if (batch[i].Ends)
                {
                    writer.EndDocument(batch[i].File, batch[i].Line, words: spaces + 1, bytes, encoded[i].Prompt);
                    (spaces, bytes) = (0, 0);
                }

                characters += batch[i].Text.Length;
            }

            progress?.Report(new TokenizingProgress(characters, writer.Tokens, totalBytes));
        }
    }

    /// <summary>The pieces, those of a document joined where the tokenizer gives other ids for a document in pieces.</summary>
    private IEnumerable<TextPiece> Whole(IEnumerable<TextPiece> pieces)
    {
        var (begun, text) = ((TextPiece?)null, new StringBuilder());
        foreach (var piece in pieces)
        {
            if (begun is null && (piece.Ends || (cutsChangeNothing ??= Array.TrueForAll(Cuts, ChangesNothing))))
            {
                yield return piece;
                continue;
            }

            begun ??= piece;
            text.Append(piece.Text);
            if (piece.Ends)
            {
                yield return begun with { Text = text.ToString(), Ends = true };
                (begun, text) = (null, new StringBuilder());
            }
        }
    }

    private bool ChangesNothing((string Before, string After) cut) =>
        encoder.Encode(cut.Before + cut.After).SequenceEqual(encoder.Encode(cut.Before).Concat(EncodeContinuation(cut.After)));

    private static IEnumerable<List<TextPiece>> Batches(IEnumerable<TextPiece> pieces)
    {
        var batch = new List<TextPiece>();
        var characters = 0;
        foreach (var piece in pieces)
        {
            batch.Add(piece);
            characters += piece.Text.Length;
            if (batch.Count == MostPieces || characters >= ManyCharacters)
            {
                yield return batch;
                (batch, characters) = ([], 0);
            }
        }

        yield return batch;
    }

    private EncodedPiece[] EncodeAll(List<TextPiece> batch, CancellationToken stop)
    {
        var encoded = new EncodedPiece[batch.Count];
        try
        {
            Parallel.For(0, batch.Count, new ParallelOptions { CancellationToken = stop }, i => encoded[i] = Encode(batch[i]));
        }
        catch (AggregateException faults)
        {
            ExceptionDispatchInfo.Throw(faults.InnerExceptions[0]);
        }

        return encoded;
    }

    private EncodedPiece Encode(TextPiece piece)
    {
        var (ids, prompt) = piece is { Begins: true, Ends: true } && piece.Learned.IsWhiteSpace() ? ([], 0)
            : piece.Prompt is { } characters ? EncodeRecord(piece.Text[..characters], piece.Text)
            : (piece.Begins ? encoder.Encode(piece.Text) : EncodeContinuation(piece.Text), 0);
        return new EncodedPiece(ids, prompt, WhiteSpace().Count(piece.Learned), Encoding.UTF8.GetByteCount(piece.Learned));
    }

    /// <summary>
    /// The ids of a prompt with its completion, and how many of them are the prompt's, as TRL's SFTTrainer has them: prompt and
    /// completion are encoded as one text, and EOS ends it. Where a token spans both, TRL warns that the prompt does not stand in
    /// the text; here the prompt then gets the ids that it has in generation, and the completion is encoded as what follows.
    /// </summary>
    private (IReadOnlyList<int> Ids, int Prompt) EncodeRecord(string prompt, string whole)
    {
        var (front, ids) = (encoder.Encode(prompt), encoder.Encode(whole));
        if (!ids.Take(front.Count).SequenceEqual(front))
        {
            ids = [.. front, .. EncodeContinuation(whole[prompt.Length..])];
        }

        return (completionEnd is { } end && ids.LastOrDefault(-1) != end ? [.. ids, end] : ids, front.Count);
    }

    /// <summary>
    /// The ids of a piece that follows a line feed. SentencePiece tokenizers put a space before a text, so the piece is
    /// encoded with the line feed in front, and the line feed's ids are removed.
    /// </summary>
    private IReadOnlyList<int> EncodeContinuation(string text)
    {
        var ids = encoder.Encode("\n" + text);
        return ids.Take(lineFeed.Count).SequenceEqual(lineFeed) ? [.. ids.Skip(lineFeed.Count)] : encoder.Encode(text);
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    /// <summary>A piece of a document: its ids, those of a prompt, runs of white space and UTF-8 bytes of what is learned. No piece ends inside a run.</summary>
    private readonly record struct EncodedPiece(IReadOnlyList<int> Ids, int Prompt, long Spaces, long Bytes);
}
