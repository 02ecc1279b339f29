using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;
using ParquetSharp;

namespace CutoffLen.Data;

/// <summary>
/// Reads a .parquet file: every row is a document, the string in the text column. A row group's part of that column is in memory
/// at a time, compressed, and one page of it as text. (Buffered streams need less memory, but believe a damaged page's size.)
/// </summary>
internal static class ParquetFile
{
    private const int BatchRows = 64;

    public static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        using var properties = ReaderProperties.GetDefaultReaderProperties();
        properties.EnablePageChecksumVerification();
        using var reader = new ParquetFileReader(file.Path, properties);
        using var schema = reader.FileMetaData;
        var (column, isOptional) = ColumnOf(file, schema.Schema);
        var row = 0;
        for (var group = 0; group < schema.NumRowGroups; group++)
        {
            using var groupReader = reader.RowGroup(group);
            var end = row + groupReader.MetaData.NumRows;
            using var values = (ColumnReader<ByteArray>)groupReader.Column(column);
            var batch = new ByteArray[BatchRows];
            var levels = new short[BatchRows];
            while (values.HasNext && values.ReadBatch(BatchRows, levels, [], batch, out var count) is > 0 and var rows)
            {
                for (var (n, value) = (0, 0); n < rows; n++)
                {
                    row++;
                    if (isOptional && levels[n] == 0)
                    {
                        throw new UserException($"{file.Describe(row)}: the column '{file.TextField}' is null; leave such rows out, or make them empty texts");
                    }

                    foreach (var piece in TextPiece.Of(index, row, TextOf(batch[value++], file, row)))
                    {
                        yield return piece;
                    }
                }
            }

            if (row != end)
            {
                throw new InvalidDataException($"row group {group} has {groupReader.MetaData.NumRows} rows, but its column '{file.TextField}' ends at row {row} of the file");
            }
        }
    }

    /// <summary>What the library says, without the C++ type around it: N7parquet16ParquetExceptionE (message: '...').</summary>
    public static string Words(ParquetException fault)
    {
        const string before = "(message: '";
        var start = fault.Message.IndexOf(before, StringComparison.Ordinal);
        return (start < 0 ? fault.Message : fault.Message[(start + before.Length)..].TrimEnd(')', '\'')).ReplaceLineEndings(" ");
    }

    /// <summary>The index of the text column among the file's, and whether its values may be null.</summary>
    private static (int Index, bool IsOptional) ColumnOf(DataFile file, SchemaDescriptor schema)
    {
        var names = new List<string>();
        for (var index = 0; index < schema.NumColumns; index++)
        {
            var column = schema.Column(index);
            var path = column.Path.ToDotVector();
            names.Add(path[0]);
            if (path[0] != file.TextField)
            {
                continue;
            }

            using var type = column.LogicalType;
            return path.Length > 1 || column.MaxRepetitionLevel > 0
                ? throw new UserException($"{file.Path}: the column '{file.TextField}' is nested ({column.Path.ToDotString()}); allowed is a column of strings")
                : column.PhysicalType == PhysicalType.ByteArray && type is StringLogicalType
                    ? (index, column.MaxDefinitionLevel > 0)
                    : throw new UserException($"{file.Path}: the column '{file.TextField}' is of type {column.PhysicalType}, {type.Type}; allowed is a column of strings");
        }

        throw new UserException(
            $"{file.Path}: has no column '{file.TextField}'{Spelling.Suggest(file.TextField, names)}; its columns are {string.Join(", ", names.Distinct())}; dataset_text_field names the one with the text");
    }

    private static unsafe string TextOf(ByteArray value, DataFile file, int row)
    {
        try
        {
            return StrictUtf8.Encoding.GetString(new ReadOnlySpan<byte>((void*)value.Pointer, value.Length));
        }
        catch (DecoderFallbackException fault)
        {
            throw new UserException($"{file.Describe(row)}: the column '{file.TextField}' is not UTF-8: {fault.Message}", fault);
        }
    }
}
