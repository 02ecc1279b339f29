using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>How documents become sequences of the cutoff length.</summary>
public enum Packing
{
    /// <summary>
    /// Whole documents side by side, attention kept inside each. Documents longer than the cutoff are split, records of prompt
    /// and completion are cut off. Best-fit
    /// packing chooses which go together, so that little is padded.
    /// </summary>
    Documents,

    /// <summary>All documents joined into one stream and cut every cutoff_len tokens; attention crosses documents.</summary>
    Concat,

    /// <summary>One document a sequence, cut off at the cutoff length or padded up to it.</summary>
    Pad,
}

/// <summary>Which spans of which documents stand in each row of an epoch.</summary>
internal abstract class RowPlan
{
    /// <summary>Rows of every epoch.</summary>
    public abstract int Rows { get; }

    /// <summary>Whether the spans of a row are one document to attention.</summary>
    public virtual bool AttentionCrosses => false;

    /// <summary>The spans of a row, in order.</summary>
    public abstract IReadOnlyList<DocumentSpan> Spans(int row);

    /// <summary>The plan of one kind of packing for one epoch; a pure function of its arguments.</summary>
    public static RowPlan Of(Packing packing, TokenizedDocuments documents, int cutoff, long seed, int epoch) => packing switch
    {
        Packing.Documents => new BestFitPlan(documents, cutoff, new KeyedRandom(seed, "packing", epoch)),
        Packing.Concat => new ConcatPlan(documents, cutoff),
        _ => new PadPlan(documents, cutoff),
    };

    private protected static int CheckedRows(long rows) => rows <= Array.MaxLength
        ? (int)rows
        : throw new UserException($"{rows} sequences are more than can be handled ({Array.MaxLength}); use a longer cutoff_len or less data");

    /// <summary>One stream, cut every T tokens.</summary>
    private sealed class ConcatPlan(TokenizedDocuments documents, int cutoff) : RowPlan
    {
        public override int Rows { get; } = CheckedRows((documents.Tokens + cutoff - 1) / cutoff);

        public override bool AttentionCrosses => true;

        public override IReadOnlyList<DocumentSpan> Spans(int row)
        {
            var spans = new List<DocumentSpan>();
            var (at, end) = ((long)row * cutoff, Math.Min((row + 1L) * cutoff, documents.Tokens));
            for (var document = documents.At(at); at < end; document++)
            {
                var offset = at - documents.Start(document);
                var length = (int)Math.Min(documents.Length(document) - offset, end - at);
                spans.Add(new DocumentSpan(document, offset, length));
                at += length;
            }

            return spans;
        }
    }

    /// <summary>A row a document.</summary>
    private sealed class PadPlan(TokenizedDocuments documents, int cutoff) : RowPlan
    {
        private readonly int[] kept = [.. Enumerable.Range(0, documents.Count).Where(document => documents.Kept(document, cutoff) > 0)];

        public override int Rows => kept.Length;

        public override IReadOnlyList<DocumentSpan> Spans(int row) =>
            [new DocumentSpan(kept[row], 0, (int)Math.Min(documents.Length(kept[row]), cutoff))];
    }
}
