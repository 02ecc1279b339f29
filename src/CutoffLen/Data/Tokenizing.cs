using System.Runtime.ExceptionServices;
using CutoffLen.Tokenization;

namespace CutoffLen.Data;

/// <summary>Turns documents into tokens on all cores, in batches of bounded size, and writes them in order.</summary>
/// <param name="encoder">The tokenizer.</param>
/// <param name="totalBytes">Bytes of all files, for the progress.</param>
/// <param name="progress">Told after every batch.</param>
internal sealed class Tokenizing(ITextEncoder encoder, long totalBytes, IProgress<TokenizingProgress>? progress)
{
    private const int MostPieces = 8192;
    private const int ManyCharacters = 4 * TextPiece.LongPiece;

    private readonly IReadOnlyList<int> lineFeed = encoder.Encode("\n");

    public void Write(IEnumerable<TextPiece> pieces, TokenCacheWriter writer, CancellationToken stop)
    {
        var characters = 0L;
        foreach (var batch in Batches(pieces))
        {
            var ids = EncodeAll(batch, stop);
            for (var i = 0; i < batch.Count; i++)
            {
                writer.Add(ids[i]);
                if (batch[i].Ends)
                {
                    writer.EndDocument(batch[i].File, batch[i].Line);
                }

                characters += batch[i].Text.Length;
            }

            progress?.Report(new TokenizingProgress(characters, writer.Tokens, totalBytes));
        }
    }

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

    private IReadOnlyList<int>[] EncodeAll(List<TextPiece> batch, CancellationToken stop)
    {
        var ids = new IReadOnlyList<int>[batch.Count];
        try
        {
            Parallel.For(0, batch.Count, new ParallelOptions { CancellationToken = stop }, i => ids[i] = Encode(batch[i]));
        }
        catch (AggregateException faults)
        {
            ExceptionDispatchInfo.Throw(faults.InnerExceptions[0]);
        }

        return ids;
    }

    private IReadOnlyList<int> Encode(TextPiece piece)
    {
        if (piece is { Begins: true, Ends: true } && string.IsNullOrWhiteSpace(piece.Text))
        {
            return [];
        }

        return piece.Begins ? encoder.Encode(piece.Text) : EncodeContinuation(piece.Text);
    }

    /// <summary>
    /// The ids of a piece that follows a line feed. Encoded on its own it would look like the start of a text, where
    /// SentencePiece tokenizers put a space; behind the line feed it does not, and the line feed's own ids come off.
    /// </summary>
    private IReadOnlyList<int> EncodeContinuation(string text)
    {
        var ids = encoder.Encode("\n" + text);
        return ids.Take(lineFeed.Count).SequenceEqual(lineFeed) ? [.. ids.Skip(lineFeed.Count)] : encoder.Encode(text);
    }
}
