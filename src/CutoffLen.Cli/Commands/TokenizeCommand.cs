using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff tokenize</c>: text to ids with a checkpoint's tokenizer, and back.</summary>
internal static class TokenizeCommand
{
    private static readonly Argument<string?> Text = new("TEXT")
    {
        Description = "The text, or the ids to decode; standard input when neither this nor --file is given.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> FromFile = new("--file")
    {
        Description = "Read the text, or the ids, from this file.",
        HelpName = "FILE",
    };

    private static readonly Option<bool> Decode = CommonOptions.Flag("Turn ids into text.", "--decode");

    private static readonly Option<bool> NoSpecial = CommonOptions.Flag("Add no BOS or EOS; when decoding, leave special tokens out.", "--no-special");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("tokenize", "Turn text into the checkpoint's token ids, or ids into text.")
        {
            CommonOptions.Model,
            Text,
            FromFile,
            Decode,
            NoSpecial,
            CommonOptions.Json,
        }
        .Runs((parsed, _) =>
        {
            var (input, source) = Input(parsed);
            var tokenizer = CheckpointTokenizer.Open(parsed.GetValue(CommonOptions.Model)!);
            if (parsed.GetValue(Decode))
            {
                Print(parsed, new Decoded(tokenizer.Decode(TokenIds.Parse(input, source), parsed.GetValue(NoSpecial))));
            }
            else
            {
                Print(parsed, new Encoded(tokenizer.Encode(input, addSpecial: !parsed.GetValue(NoSpecial))));
            }
        });

    private static (string Input, string Source) Input(ParseResult parsed) => (parsed.GetValue(Text), parsed.GetValue(FromFile)) switch
    {
        ({ } text, null) => (text, "TEXT"),
        (null, { } path) => (Utf8Text.Read(path), path),
        (null, null) => (Utf8Text.ReadStandardInput(), "standard input"),
        _ => throw new UserException("TEXT and --file are both given; give one"),
    };

    private static void Print(ParseResult parsed, Encoded encoded)
    {
        if (parsed.GetValue(CommonOptions.Json))
        {
            Terminal.PrintJson(encoded);
        }
        else
        {
            Console.Out.WriteLine(string.Join(' ', encoded.Ids));
        }
    }

    private static void Print(ParseResult parsed, Decoded decoded)
    {
        if (parsed.GetValue(CommonOptions.Json))
        {
            Terminal.PrintJson(decoded);
        }
        else
        {
            Console.Out.WriteLine(decoded.Text);
        }
    }

    private sealed record Encoded(int[] Ids);

    private sealed record Decoded(string Text);
}
