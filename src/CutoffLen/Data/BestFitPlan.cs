using System.Numerics;
using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>
/// Best-fit packing (Ding et al., arXiv 2404.10830). Documents are split only where they are longer than the row; records with
/// a prompt end there (<see cref="TokenizedDocuments.Kept"/>). Pieces
/// are placed from the longest to the shortest, each into the row with the least room that still holds it.
/// The number of rows depends on the lengths alone, so every epoch has the same. Pieces of one length are shuffled by the
/// epoch's random numbers, so every epoch has other rows.
/// </summary>
internal sealed class BestFitPlan : RowPlan
{
    private readonly TokenizedDocuments documents;
    private readonly int cutoff;

    // Pieces from the longest to the shortest; piece p is part part[p] of document document[p].
    private readonly int[] document;
    private readonly int[] part;

    // The pieces of row r, in the order in which they were placed, are rowPieces[rowStart[r] .. rowStart[r + 1]].
    private readonly int[] rowStart;
    private readonly int[] rowPieces;

    public BestFitPlan(TokenizedDocuments documents, int cutoff, KeyedRandom random)
    {
        (this.documents, this.cutoff) = (documents, cutoff);
        (document, part) = PiecesByLength(ref random);
        var rowOfPiece = BestFit(out var rows);
        Rows = rows;
        (rowStart, rowPieces) = GroupByRow(rowOfPiece, rows);
    }

    public override int Rows { get; }

    public override IReadOnlyList<DocumentSpan> Spans(int row)
    {
        var spans = new DocumentSpan[rowStart[row + 1] - rowStart[row]];
        for (var i = 0; i < spans.Length; i++)
        {
            var piece = rowPieces[rowStart[row] + i];
            spans[i] = new DocumentSpan(document[piece], (long)part[piece] * cutoff, Length(piece));
        }

        return spans;
    }

    private int Length(int piece) => (int)Math.Min(cutoff, documents.Kept(document[piece], cutoff) - ((long)part[piece] * cutoff));

    private int Parts(int index) => (int)((documents.Kept(index, cutoff) + cutoff - 1) / cutoff);

    /// <summary>All pieces, sorted by counting; those of one length in random order.</summary>
    private (int[] Document, int[] Part) PiecesByLength(ref KeyedRandom random)
    {
        var end = new long[cutoff + 1]; // by length, from the longest: where its pieces end in the order
        foreach (var d in Enumerable.Range(0, documents.Count).Where(d => Parts(d) > 0))
        {
            end[cutoff] += Parts(d) - 1;
            end[LastLength(d)]++;
        }

        for (var length = cutoff - 1; length >= 0; length--)
        {
            end[length] += end[length + 1];
        }

        var pieces = new (int Document, int Part)[CheckedRows(end[0])];
        var next = new int[cutoff + 1];
        for (var length = 0; length < cutoff; length++)
        {
            next[length] = (int)end[length + 1];
        }

        for (var d = 0; d < documents.Count; d++)
        {
            var parts = Parts(d);
            for (var p = 0; p < parts; p++)
            {
                pieces[next[p + 1 < parts ? cutoff : LastLength(d)]++] = (d, p);
            }
        }

        for (var length = cutoff; length > 0; length--)
        {
            var first = length == cutoff ? 0 : (int)end[length + 1];
            random.Shuffle(pieces.AsSpan(first..(int)end[length]));
        }

        return (Array.ConvertAll(pieces, piece => piece.Document), Array.ConvertAll(pieces, piece => piece.Part));
    }

    private int LastLength(int index) => (int)(documents.Kept(index, cutoff) - ((Parts(index) - 1L) * cutoff));

    /// <summary>The row of each piece.</summary>
    private int[] BestFit(out int rows)
    {
        var rowOfPiece = new int[document.Length];
        var roomy = new RoomIndex(cutoff);
        var nextWithRoom = new List<int>(); // by row: the row below it in the stack of those with the same room
        for (var piece = 0; piece < rowOfPiece.Length; piece++)
        {
            var length = Length(piece);
            var (row, room) = roomy.Take(length, nextWithRoom);
            if (row < 0)
            {
                (row, room) = (nextWithRoom.Count, cutoff);
                nextWithRoom.Add(-1);
            }

            rowOfPiece[piece] = row;
            roomy.Put(row, room - length, nextWithRoom);
        }

        rows = nextWithRoom.Count;
        return rowOfPiece;
    }

    private static (int[] Start, int[] Pieces) GroupByRow(int[] rowOfPiece, int rows)
    {
        var start = new int[rows + 1];
        foreach (var row in rowOfPiece)
        {
            start[row + 1]++;
        }

        for (var row = 0; row < rows; row++)
        {
            start[row + 1] += start[row];
        }

        var next = start.AsSpan(0, rows).ToArray();
        var pieces = new int[rowOfPiece.Length];
        for (var piece = 0; piece < rowOfPiece.Length; piece++)
        {
            pieces[next[rowOfPiece[piece]]++] = piece;
        }

        return (start, pieces);
    }

    /// <summary>Open rows by the room they have left. The least sufficient room is found by scanning bits.</summary>
    private sealed class RoomIndex(int cutoff)
    {
        private readonly int[] top = [.. Enumerable.Repeat(-1, cutoff + 1)];
        private readonly ulong[] rooms = new ulong[(cutoff / 64) + 1];

        public (int Row, int Room) Take(int length, List<int> below)
        {
            var word = length / 64;
            var bits = rooms[word] & (ulong.MaxValue << (length % 64));
            while (bits == 0 && ++word < rooms.Length)
            {
                bits = rooms[word];
            }

            if (bits == 0)
            {
                return (-1, 0);
            }

            var room = (word * 64) + BitOperations.TrailingZeroCount(bits);
            var row = top[room];
            top[room] = below[row];
            rooms[word] &= top[room] < 0 ? ~(1UL << (room % 64)) : ulong.MaxValue;
            return (row, room);
        }

        public void Put(int row, int room, List<int> below)
        {
            if (room > 0)
            {
                below[row] = top[room];
                top[room] = row;
                rooms[room / 64] |= 1UL << (room % 64);
            }
        }
    }
}
